#!/usr/bin/env bash
# Train the table of docs/training.md again: six sets, two seeds, three trainers.
#
#   tools/train_table.sh SETS OUT [TRAINER [SET [SEED]]]
#
# SETS holds the sets' folders, OUT gets a folder for each training and its figures in NAME.txt.
# A training whose NAME.txt is there is left out: after an interruption start the same command
# again. TRAINER is ours, retinanet or yolo (needs ultralytics' command "yolo"). MINUTES (25) is
# the time of each, about 27 with start and figures: 36 trainings take 16 hours on two cores.
# STEPS=3 shortens ours and RetinaNet's for a rehearsal; DEVICE=cuda trains on a GPU.
set -euo pipefail
tools=$(cd "$(dirname "$0")" && pwd)
sets=$1 out=$2 python=${PYTHON:-python3} minutes=${MINUTES:-25} device=${DEVICE:-cpu} steps=${STEPS:-}
export PYTHONPATH="${tools%/tools}${PYTHONPATH:+:$PYTHONPATH}"
mkdir -p "$out"
for seed in ${5:-0 1}; do
  for set in ${4:-cone_cube bottles bccd cards rover_blocks cat_dog}; do
    for trainer in ${3:-ours retinanet yolo}; do
      name=$trainer-$set-$seed
      [ ! -e "$out/$name.txt" ] || continue
      case $trainer in
        ours) command=("$python" -m ssd_perception train --data "$sets/$set" --out "$out/$name"
                       --minutes "$minutes" --device "$device" --set "seed=$seed"
                       ${steps:+"iterations=$steps"}) ;;
        retinanet) command=("$python" "$tools/train_others.py" retinanet "$sets/$set" --seed "$seed"
                            --minutes "$minutes" --device "$device" ${steps:+--steps "$steps"}) ;;
        yolo) [ -e "$out/yolo-$set" ] ||
                "$python" "$tools/train_others.py" yolo-layout "$sets/$set" "$out/yolo-$set"
              command=(yolo detect train model=yolo11n.yaml "data=$out/yolo-$set/data.yaml"
                       pretrained=False "seed=$seed" "device=${device/cuda/0}" "name=$name"
                       "project=$out" "time=$(awk "BEGIN {print $minutes / 60}")") ;;
        *) echo "train_table: TRAINER must be ours, retinanet or yolo, got $trainer." >&2; exit 2 ;;
      esac
      echo "$name: $(date +%H:%M)"
      rm -rf "${out:?}/$name"
      "${command[@]}" >"$out/$name.part" 2>"$out/$name.log" ||
        { tail -3 "$out/$name.log" >&2; exit 1; }
      mv "$out/$name.part" "$out/$name.txt"
      tail -n 2 "$out/$name.txt"
    done
  done
done
