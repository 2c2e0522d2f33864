"""Parts of problems with the worst of several losses: epigraphs, models and bounds."""
