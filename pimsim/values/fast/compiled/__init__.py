"""What is compiled of the level `fast`; it takes arrays alone, and knows neither models nor devices."""
