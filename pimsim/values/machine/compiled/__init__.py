"""What is compiled of the machine; it takes arrays alone, and knows neither models nor devices."""
