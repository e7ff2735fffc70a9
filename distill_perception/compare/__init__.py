"""Finished trainings, bundles and replays side by side: `distill-perception compare RUN...`."""
