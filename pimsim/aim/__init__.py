"""GDDR6-AiM instruction programs: their language, their front-end, GEMV programs and replay."""
