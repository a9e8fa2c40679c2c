"""Page scripts, in section folders. Nothing else may lie directly here: Streamlit would serve it without the router."""
