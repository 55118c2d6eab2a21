"""Clusters of imagededup, run in its own environment: prints, per setting, the pairs of names that it finds, as JSON.

python bench/imagededup_lane.py FOLDER [SETTING …]
"""

from __future__ import annotations

import json
import sys

SETTINGS: dict[str, tuple[str, dict[str, float]]] = {
    "PHash 10": ("PHash", {"max_distance_threshold": 10}),
    "DHash 10": ("DHash", {"max_distance_threshold": 10}),
    "WHash 10": ("WHash", {"max_distance_threshold": 10}),
    "CNN 0.9": ("CNN", {"min_similarity_threshold": 0.9}),
}


def main() -> None:
    from imagededup import methods  # type: ignore[import-not-found]

    for setting in sys.argv[2:] or SETTINGS:
        name, options = SETTINGS[setting]
        try:
            found = getattr(methods, name)(verbose=False).find_duplicates(image_dir=sys.argv[1], recursive=True, **options)
        except Exception as error:  # such as a CNN without its weights
            print(json.dumps([setting, f"{type(error).__name__}: {error}"]))
            continue
        print(json.dumps([setting, sorted({tuple(sorted((one, other))) for one, others in found.items() for other in others})]))


if __name__ == "__main__":
    main()
