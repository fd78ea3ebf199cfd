"""Full-size checkpoints with random weights: as slow as real ones, without a download. Depends on transformers."""

from pathlib import Path


def save_wavlm_base(folder: Path) -> None:
    """Saves the architecture of WavLM-base with two classes, as `save_pretrained` does."""
    import torch
    from transformers import Wav2Vec2FeatureExtractor, WavLMConfig, WavLMForSequenceClassification

    torch.manual_seed(0)
    config = WavLMConfig(id2label={0: "bonafide", 1: "spoof"}, label2id={"bonafide": 0, "spoof": 1})
    WavLMForSequenceClassification(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=False).save_pretrained(folder)  # type: ignore[no-untyped-call]


def save_dinov2_base(folder: Path) -> None:
    """Saves the architecture of DINOv2-base with two classes; 224 x 224 pixels cut out of a shorter side of 256."""
    import torch
    from transformers import Dinov2Config, Dinov2ForImageClassification
    from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil

    torch.manual_seed(0)
    config = Dinov2Config(image_size=518, id2label={0: "live", 1: "spoof"}, label2id={"live": 0, "spoof": 1})
    Dinov2ForImageClassification(config).save_pretrained(folder)
    processor = BitImageProcessorPil(size={"shortest_edge": 256}, crop_size={"height": 224, "width": 224})
    processor.save_pretrained(folder)
