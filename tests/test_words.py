"""The field's words: private ones for things that have a name in the papers do not come back."""

import re

import pytest

from tests.programs import ROOT

SAY = {
    r'(?<!")(\b|_)(un)?told\b': "conditioned on, the condition",
    r"\bown share\b|\bown_share\b": "this device's shard, shard_batch",
    r"\bsometimes_untold\b": "drop_condition",
    r"\bwhole_batch\b": "the global batch, gather_batch",
    r"\blook(s|ed)? at images\b|\bLooked\b|\bcached_look\b": "extract features, Features",
    r'(?<!")\bjudg(e|es|ed|ing|ement)\b': "evaluate; logits; classify",
    r"\bnumbers of (a|the) (likelihood|distribution)\b|\blikelihood's numbers\b": "distribution parameters",
    r"\bNumbers that an image is drawn from\b": "latent dimension",
    r"\bwarming_up\b|\baveraged\(": "ema_warmup, use_ema",
    r"\bModern(Generator|Discriminator)\b": "R3GANGenerator, R3GANDiscriminator",
    r"\bhalf as much after\b": "decays as lr / (1 + step / n)",
}
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("experiments/**/*.md"), *ROOT.glob("jaxgen/**/*.md")})
TEXTS = sorted(
    {*ROOT.glob("jaxgen/**/*.py"), *ROOT.glob("experiments/**/*.py"), *ROOT.glob("notebooks/*.ipynb"), *PAGES}
    - {ROOT / "CHANGELOG.md", ROOT / "jaxgen" / "export" / "format_1.py"}  # they say what names were
)


@pytest.mark.parametrize("word", SAY)
def test_the_papers_word_is_used(word):
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in TEXTS
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if re.search(word, line, re.IGNORECASE)
    ]
    assert not found, f"say {SAY[word]!r}:\n" + "\n".join(found)
