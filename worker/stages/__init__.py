"""The bodies of the stage threads: tokenize, score, publish."""

from worker.stages.publish import Publish
from worker.stages.score import Score
from worker.stages.tokenize import StageOptions, Tokenize

__all__ = ["Publish", "Score", "StageOptions", "Tokenize"]
