"""The whole chain: the workflow against one hand-written script in one process.

    python bench/chain.py [--prompts 48]

Both get the staged models of an earlier run (`results/models`), the same prompts, settings and
number of pairs, and run from prompts to a merged checkpoint: generation in sorted batches of 32,
critique, log-probability of "Nothing is missing", number, embeddings, pairs, TRL's DPO. The script
computes in the faster precision, as the workflow has measured it. Wall times are of whole commands,
imports included. Prints both and their ratio.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
MODELS = REPOSITORY / "results/models"
NEW_TOKENS, CRITIQUE_TOKENS, BATCH = 48, 40, 32


def by_hand(prompts: list[str], pairs: int, output: Path, precision: str) -> None:
    """The chain as one would write it in an afternoon: one process, no tables, no reuse."""
    import torch
    from jinja2 import Template
    from peft import LoraConfig
    from sentence_transformers import SentenceTransformer
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import DPOConfig, DPOTrainer

    folder = MODELS / "smollm2"
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, precision)).eval()
    templates = REPOSITORY / "config/templates/structured"
    critique, rating = (
        Template((templates / f"{name}.jinja").read_text()) for name in ("critique", "rating")
    )

    def chat(messages: list[dict[str, str]]) -> str:
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return str(text)

    def batches(texts: list[str]) -> Any:
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            yield (
                places,
                tokenizer([texts[place] for place in places], return_tensors="pt", padding=True),
            )

    def generate(texts: list[str], new_tokens: int, **sampling: Any) -> list[str]:
        answers = [""] * len(texts)
        for places, batch in batches(texts):
            with torch.inference_mode():
                rows = model.generate(**batch, max_new_tokens=new_tokens, **sampling)
            for place, row in zip(places, rows[:, batch["input_ids"].shape[1] :], strict=True):
                answers[place] = tokenizer.decode(row, skip_special_tokens=True).strip()
        return answers

    def last_logits(texts: list[str], tokens: int) -> list[Any]:
        found: list[Any] = [None] * len(texts)
        for places, batch in batches(texts):
            with torch.inference_mode():
                logits = model(**batch, logits_to_keep=tokens).logits.float().log_softmax(-1)
            for place, row in zip(places, logits, strict=True):
                found[place] = row
        return found

    torch.manual_seed(0)
    questions = [[{"role": "user", "content": text}] for text in prompts for _ in range(2)]
    answers = generate(
        [chat(each) for each in questions], NEW_TOKENS, do_sample=True, temperature=0.9, top_k=50
    )
    queries = [
        critique.render(conversation=each, response=answer, nothing_missing="Nothing is missing")
        for each, answer in zip(questions, answers, strict=True)
    ]
    judged = [[{"role": "user", "content": text}] for text in queries]
    last_logits([chat(each) + "Nothing is missing" for each in judged], 4)
    critiques = generate([chat(each) for each in judged], CRITIQUE_TOKENS, do_sample=False)
    numbers = [
        chat(
            [
                *each,
                {"role": "assistant", "content": said},
                {"role": "user", "content": rating.render()},
            ]
        )
        for each, said in zip(judged, critiques, strict=True)
    ]
    last_logits([text + "Rating: 1" for text in numbers], 2)
    encoder = SentenceTransformer(str(MODELS / "minilm"))
    responses = encoder.encode(answers, batch_size=64, normalize_embeddings=True)
    missing = encoder.encode(critiques, batch_size=64, normalize_embeddings=True)
    score = (responses * missing).sum(-1)
    rows = [
        {
            "prompt": questions[2 * place],
            "chosen": [{"role": "assistant", "content": answers[best]}],
            "rejected": [{"role": "assistant", "content": answers[4 * place + 1 - best]}],
        }
        for place in range(len(prompts))
        for best in [max(2 * place, 2 * place + 1, key=lambda row: score[row])]
    ]
    from datasets import Dataset

    trainer = DPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
        processing_class=AutoTokenizer.from_pretrained(folder),
        args=DPOConfig(
            output_dir=str(output / "trainer"),
            per_device_train_batch_size=8,
            learning_rate=1e-4,
            lr_scheduler_type="cosine",
            warmup_steps=0.1,
            num_train_epochs=1,
            max_length=512,
            bf16=precision == "bfloat16",
            gradient_checkpointing=False,
            use_cpu=True,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
        ),
        train_dataset=Dataset.from_list(rows[:pairs]),
        peft_config=LoraConfig(
            task_type="CAUSAL_LM", r=16, lora_alpha=32, target_modules="all-linear"
        ),
    )
    trainer.train()
    trainer.model.merge_and_unload().save_pretrained(output / "checkpoint")
    trainer.processing_class.save_pretrained(output / "checkpoint")


def timed(command: list[str | Path], name: str) -> float:
    """Wall seconds of a command; its output is shown only if it fails."""
    start = time.perf_counter()
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"{name} failed:\n{result.stdout}{result.stderr}")
    seconds = time.perf_counter() - start
    print(f"{name}: {seconds:.1f} s", flush=True)
    return seconds


def main() -> None:
    """Run both in turn, and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--prompts", type=int, default=48)
    parser.add_argument("--by-hand", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--pairs", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    lines = (REPOSITORY / "config/prompts/demo.jsonl").read_text(encoding="utf-8").splitlines()
    chosen = lines[: options.prompts]
    if options.by_hand:
        from wim.engines.machine import fitting_precision

        prompts = [json.loads(line)["prompt"] for line in chosen]
        by_hand(prompts, options.pairs, options.by_hand, fitting_precision("generation"))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "prompts.jsonl").write_text("\n".join(chosen) + "\n", encoding="utf-8")
        config = {
            "models": {
                model: {"source": f"path:{MODELS / model}"} for model in ("smollm2", "minilm")
            },
            "prompts": {"files": [str(folder / "prompts.jsonl")], "eval_fraction": 0},
        }
        (folder / "bench.yaml").write_text(json.dumps(config), encoding="utf-8")
        snakemake: list[str | Path] = [
            Path(sys.executable).with_name("snakemake"),
            "--directory",
            folder,
            "--snakefile",
            REPOSITORY / "Snakefile",
            "--configfile",
            folder / "bench.yaml",
            "--workflow-profile",
            REPOSITORY / "profiles/default",
            "--",
        ]
        staged = [f"results/models/{model}/manifest.json" for model in ("smollm2", "minilm")]
        timed([*snakemake, *staged], "staging (not compared)")
        ours = timed([*snakemake, "dpo_checkpoint"], "workflow")
        counts = json.loads((folder / "results/pairs/wim/round1.exclusions.json").read_text())
        pairs = counts["pairs"]["train"]
        print(f"{options.prompts} prompts, {pairs} pairs")
        script = [sys.executable, __file__, "--prompts", str(options.prompts)]
        hand = timed([*script, "--by-hand", folder / "hand", "--pairs", str(pairs)], "script")
        print(f"ratio, workflow to script: {ours / hand:.2f}")


if __name__ == "__main__":
    main()
