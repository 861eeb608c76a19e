"""What a second judgement of each response costs: processor time of a structured judge on this CPU.

    python bench/samples.py <model folder> <labelled pairs> [--pairs 12] [--samples 1 2 3]

The folder is a staged model's, the pairs are in LLMBar's format. Every count of samples begins with a
fresh engine, and nothing is stored.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from wim.display.markdown import markdown_table
from wim.engines.local.engine import LocalEngine
from wim.evaluation.llmbar import read_labelled_pairs
from wim.judging.samples import StructuredSamples, rated
from wim.settings.judging import JudgeSettings
from wim.settings.sampling import Sampling
from wim.templates import read_templates

TEMPLATES = [Path(f"config/templates/structured/{name}.jinja") for name in ("critique", "rating")]


def main(arguments: Sequence[str]) -> None:
    """Print a row for each count of samples."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("labelled", type=Path)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--tokens", type=int, default=40)
    parser.add_argument("--samples", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args(arguments)
    labelled = read_labelled_pairs(options.labelled)[: options.pairs]
    candidates = [candidate for pair in labelled for candidate in pair.candidates]
    sampling = Sampling(max_new_tokens=options.tokens, temperature=0.7)
    settings = JudgeSettings(model="m", sampling=sampling)
    rows, first = [], 0.0
    for samples in options.samples:
        engine = LocalEngine(options.model, batch_size=64)
        judge = StructuredSamples("j", engine, read_templates(TEMPLATES), settings, 0, "m")
        start = time.process_time()
        rated(judge, candidates, samples)
        seconds = time.process_time() - start
        first = first or seconds
        rows.append(
            {
                "samples": str(samples),
                "responses": str(len(candidates)),
                "processor seconds": f"{seconds:.1f}",
                "of the first row": f"{seconds / first:.2f}",
            }
        )
        print(markdown_table(rows[-1:], left=0), flush=True)
    print(markdown_table(rows, left=0))


if __name__ == "__main__":
    main(sys.argv[1:])
