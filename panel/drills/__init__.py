"""What the Tests page shows beside the full test: the library of drills, their history and their schedule."""
