"""Pages over the recommender's API, for people: what users get and why, and what is served."""
