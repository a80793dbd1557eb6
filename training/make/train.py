"""Stage 4: the student learns, by the loss of `distil.py`."""

import json
import logging
import math
from pathlib import Path
from typing import Any

import torch

from data import batches
from develop import develop
from distil import Distillation
from encode import MODEL
from student import Student, save

log = logging.getLogger("train")


def train(
    student: Student, distillation: Distillation, seed: int, steps: int | None, out: Path
) -> None:
    """Train, or go on from `checkpoint.pt`; ends after `steps`, or after as many as in `settings`.

    Writes `log.jsonl`, a line for each step, and `model.safetensors`.
    """
    data, settings = distillation.data, distillation.settings
    out.mkdir(exist_ok=True)
    torch.manual_seed(seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    student.to(device).train()
    # Dropout would make the scores of a small step noise.
    for module in student.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    optimiser = torch.optim.AdamW(
        [each for each in student.parameters() if each.requires_grad],
        lr=settings["learning_rate"],
        weight_decay=settings["weight_decay"],
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda n: _rate(n, settings))
    checkpoint = out / "checkpoint.pt"
    done = 0
    if checkpoint.exists():
        kept = torch.load(checkpoint, map_location=device, weights_only=True)
        student.load_state_dict(kept["student"])
        optimiser.load_state_dict(kept["optimiser"])
        schedule.load_state_dict(kept["schedule"])
        done = kept["step"]
    else:
        _note(out, {"step": 0, **develop(student, distillation)})
    end = min(settings["steps"], steps or settings["steps"])
    for step, batch in enumerate(batches(data, settings, seed), start=1):
        if step > end:
            break
        drawn = distillation.draw(batch)
        if step <= done:
            continue
        parts = distillation(student, batch, drawn)
        loss = distillation.total(parts)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), settings["clip"])
        optimiser.step()
        schedule.step()
        source = data.queries[batch.queries[0]]["source"]
        values = {name: round(float(value.detach()), 5) for name, value in parts.items()}
        _note(
            out, {"step": step, "source": source, "loss": round(float(loss.detach()), 5), **values}
        )
        if step % settings["evaluate_every"] == 0 or step == end:
            _note(out, {"step": step, **develop(student, distillation)})
        if step % settings["checkpoint_every"] == 0 or step == end:
            _keep(checkpoint, student, optimiser, schedule, step)
            save(student, out / MODEL)


def _keep(path: Path, student: Student, optimiser: Any, schedule: Any, step: int) -> None:
    temporary = path.with_suffix(".tmp")
    torch.save(
        {
            "student": student.state_dict(),
            "optimiser": optimiser.state_dict(),
            "schedule": schedule.state_dict(),
            "step": step,
        },
        temporary,
    )
    temporary.replace(path)


def _rate(step: int, settings: dict[str, Any]) -> float:
    """Linear warm-up, then half a cosine down to a tenth."""
    warm = settings["warmup"]
    if step < warm:
        return float((step + 1) / warm)
    share = min(1.0, (step - warm) / max(1.0, settings["steps"] - warm))
    return 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * share))


def _note(out: Path, values: dict[str, Any]) -> None:
    with (out / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(values) + "\n")
    log.info("%s", values)
