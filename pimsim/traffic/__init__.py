"""Host traffic on a memory: request streams, an FR-FCFS controller and what it achieves."""
