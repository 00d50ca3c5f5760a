"""How a model's graph is cut over devices: every cut is a graph again, of what one device runs.

    tensor   `tensor_cut`: every matrix and the heads of attention are cut (Megatron)
    experts  `expert_roles`: devices share the experts, and each has sequences of its own
    stages   `stages`: consecutive blocks follow each other
    numbers  `split`: all three in one; `holdings`: what a device stores; `smallest`: the fewest devices that do

Each makes graphs, which the next one cuts again, in this order.  What is sent between devices are operators of
the role LINK, which say how many elements, never how long that takes.
"""
