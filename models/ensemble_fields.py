"""What `bonafide.json` says of an ensemble: its members, and how their scores become one. No I/O."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from models.manifest_fields import Finite, ManifestCalibration, Name, Part, Text

Rule = Literal["mean", "log_odds"]
_MOST_MEMBERS = 8
_Weight = Annotated[float, Field(allow_inf_nan=False, ge=0.0, le=1e6)]


class EnsembleMember(Part):
    """One model of an ensemble."""

    model: Text
    """A path relative to the manifest's folder, or any other model reference, but no ensemble."""
    name: Name | None = None
    """In every answer; none: the model's own."""
    spoof_label: Text | None = None
    """Which of its classes means spoof, if their names do not decide it; as BONAFIDE_VOICE_SPOOF_LABEL."""


class Fusion(Part):
    """How the members' scores become one."""

    rule: Rule
    """mean: of their probabilities, weighted. log_odds: sigmoid of the weighted sum of their log odds and an
    intercept."""
    weights: tuple[_Weight, ...]
    """Of each member, in their order, 0 or more. Those of a mean are shares of their sum."""
    intercept: Finite | None = None
    """Added to the sum of log odds."""
    members: tuple[EnsembleMember, ...]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not 2 <= len(self.members) <= _MOST_MEMBERS:
            raise ValueError(f"members are 2 to {_MOST_MEMBERS}, and here are {len(self.members)}")
        if len(self.weights) != len(self.members):
            raise ValueError(f"weights has {len(self.weights)} numbers for {len(self.members)} members")
        if not any(self.weights):
            raise ValueError("weights are all 0: no member would count")
        if (self.intercept is None) == (self.rule == "log_odds"):
            said = "is missing: 0 shifts nothing" if self.rule == "log_odds" else "is for the rule log_odds alone"
            raise ValueError(f"intercept {said}")
        references = [member.model.strip() for member in self.members]
        if twice := next((each for each in references if references.count(each) > 1), None):
            raise ValueError(f"members names {twice!r} twice: give it more weight instead")
        return self


class EnsembleManifest(Part):
    """`bonafide.json` of an ensemble. It has no licence of its own: those of all its members hold."""

    format: Literal[1] = 1
    """Version of these fields."""
    task: Literal["voice", "face"]
    """Of every member."""
    name: Name
    """In every answer."""
    version: Name
    """Of the composition; in every answer behind the name."""
    ensemble: Fusion
    calibration: ManifestCalibration | None = None
    """Of the ensemble's score; members keep their own."""
