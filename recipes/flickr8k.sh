#!/usr/bin/env bash
# Trains and evaluates Show and Tell on Flickr8k, from photographs and captions
# to exported models, with scores after every stage.
#
#   recipes/flickr8k.sh CAPTIONS IMAGE_DIR INCEPTION_CHECKPOINT OUTPUT_DIR
#
# CAPTIONS is Karpathy's dataset_flickr8k.json, or a folder with
# captions_train.json, captions_val.json and captions_test.json in MSCOCO's
# format. INCEPTION_CHECKPOINT is a value of train --inception_checkpoint_file,
# such as the word keras.
#
# The stages, each from the best checkpoint of the previous one:
#
#   data           TFRecords and the vocabulary
#   features       cached image features, with which training takes a tenth of
#                  the time
#   likelihood     cross-entropy, up to 10,000 steps, or until the perplexity on
#                  val stops falling
#   sampling       scheduled sampling, at a low constant learning rate
#   self_critical  self-critical training of CIDEr
#   fine_tune      phase 2, all weights, from the likelihood model of seed 1
#   scores         perplexity, and scores of captions, of each model and of the
#                  ensembles of all seeds
#   saved_model    a SavedModel of the self-critical model of seed 1
#
# Checkpoints are chosen on the val split only; all scores are of the test
# split. After an interruption, run the same command again: finished stages are
# skipped, and the interrupted one resumes.
#
# Environment:
#   STAGES           the stages to run; all by default
#   SEEDS            the seeds of the models, "1 2 3" by default
#   SELF_CRITICAL_STEPS  steps of self-critical training, 1200 by default
#   FINE_TUNE_STEPS  steps of phase 2, 300 by default
#   MIXED_PRECISION  float32, or bfloat16 (default), which is faster on a CPU
#                    with AMX or an AMD CPU with avx512_bf16
#   PROGRAMS         the folder of the programs, bazel-bin/im2txt by default
set -euo pipefail

if [[ $# -ne 4 ]]; then
  sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
readonly captions=$1 image_dir=$2 inception=$3 output=$4
readonly programs=${PROGRAMS:-bazel-bin/im2txt}
readonly stages=${STAGES:-data features likelihood sampling self_critical
  fine_tune scores saved_model}
readonly seeds=${SEEDS:-1 2 3}
readonly precision=${MIXED_PRECISION:-bfloat16}
readonly self_critical_steps=${SELF_CRITICAL_STEPS:-1200}
readonly fine_tune_steps=${FINE_TUNE_STEPS:-300}
readonly data=$output/data features=$output/features

# Runs one of im2txt's programs.
im2txt() {
  "$programs/$1" "${@:2}"
}

# Runs evaluate beside train, and once more on the last checkpoint.
# Usage: train_and_evaluate EVALUATE_FLAG... -- TRAIN_FLAG...
train_and_evaluate() {
  local evaluate_flags=()
  while [[ $1 != -- ]]; do
    evaluate_flags+=("$1")
    shift
  done
  shift
  evaluate_flags+=(--input_feature_pattern="$features/val-*")
  # Not by im2txt, so that the signals below reach the program.
  "$programs/evaluate" "${evaluate_flags[@]}" 2>>"$output/evaluate.log" &
  local evaluation=$!
  im2txt train --input_feature_pattern="$features/train-*" \
    --inception_checkpoint_file="$inception" --mixed_precision="$precision" "$@"
  kill "$evaluation" 2>/dev/null || true
  wait "$evaluation" || true
  im2txt evaluate "${evaluate_flags[@]}" --once 2>>"$output/evaluate.log"
}

# Copies the best checkpoint of a run to the folder of a new run.
begin_from() {
  local best=$1 folder=$2
  mkdir -p "$folder"
  [[ -e $folder/config.json ]] ||
    cp "$best"/model.ckpt-* "$best"/config.json "$folder"
}

# Prints the step of the best checkpoint of a run.
best_step() {
  sed -n 's/.*"step": \([0-9]*\).*/\1/p' "$1/best.json"
}

data() {
  if [[ -d $captions ]]; then
    im2txt build_caption_data --image_dir="$image_dir" --output_dir="$data" \
      --train_captions_file="$captions/captions_train.json" \
      --val_captions_file="$captions/captions_val.json" \
      --test_captions_file="$captions/captions_test.json"
  else
    im2txt build_caption_data --image_dir="$image_dir" --output_dir="$data" \
      --captions_file="$captions"
  fi
}

features() {
  local split
  for split in train val test; do
    im2txt cache_image_features --input_file_pattern="$data/$split-*" \
      --inception_checkpoint_file="$inception" --output_dir="$features" \
      --output_prefix="$split" \
      --views_per_image="$([[ $split == train ]] && echo 2 || echo 1)"
  done
}

likelihood() {
  local model=$output/seed$1
  train_and_evaluate --checkpoint_dir="$model/likelihood" \
    --eval_dir="$model/likelihood_eval" --min_global_step=1 \
    --eval_interval_secs=10 --keep_best=perplexity \
    --stop_after=3 -- \
    --train_dir="$model/likelihood" --number_of_steps=10000 \
    --config_overrides="seed=$1,batch_size=64,bucket_batches=16,\
optimizer=adam,initial_learning_rate=0.001,num_epochs_per_decay=4,\
save_checkpoint_steps=1000"
}

sampling() {
  local model=$output/seed$1 best
  best=$model/likelihood/best
  begin_from "$best" "$model/sampling"
  im2txt train --input_feature_pattern="$features/train-*" \
    --train_dir="$model/sampling" --mixed_precision="$precision" \
    --number_of_steps="$(($(best_step "$best") + 800))" \
    --scheduled_sampling=linear \
    --config_overrides=scheduled_sampling_offset=0.75,\
scheduled_sampling_slope=0,scheduled_sampling_minimum=0.75,\
initial_learning_rate=0.0002,learning_rate_decay_factor=1.0
  im2txt evaluate --input_feature_pattern="$features/val-*" \
    --checkpoint_dir="$model/sampling" --eval_dir="$model/sampling_eval" \
    --min_global_step=1 --keep_best=perplexity --once
}

self_critical() {
  local model=$output/seed$1 best step
  best=$model/sampling/best
  step=$(best_step "$best")
  begin_from "$best" "$model/self_critical"
  train_and_evaluate --checkpoint_dir="$model/self_critical" \
    --eval_dir="$model/self_critical_eval" --min_global_step=$((step + 1)) \
    --eval_interval_secs=20 --caption_metrics --metrics=CIDEr \
    --vocab_file="$data/word_counts.txt" --keep_best=CIDEr -- \
    --train_dir="$model/self_critical" --objective=self_critical \
    --vocab_file="$data/word_counts.txt" \
    --number_of_steps=$((step + self_critical_steps)) \
    --config_overrides=batch_size=32,save_checkpoint_steps=400
}

fine_tune() {
  local model=$output/seed1 best step split
  best=$model/likelihood/best
  step=$(best_step "$best")
  begin_from "$best" "$model/fine_tune"
  im2txt train --input_file_pattern="$data/train-*" \
    --train_dir="$model/fine_tune" --train_inception=true \
    --mixed_precision="$precision" \
    --number_of_steps=$((step + fine_tune_steps)) \
    --config_overrides=batch_size=16,train_inception_learning_rate=0.00001,\
freeze_batch_norm=true,inception_weight_decay=0.0,inception_dropout_keep_prob=1.0
  # Features, because each image is encoded once and not once per caption.
  for split in val test; do
    im2txt cache_image_features --input_file_pattern="$data/$split-*" \
      --inception_checkpoint_file="$model/fine_tune" \
      --output_dir="$model/fine_tune_features" --output_prefix="$split"
  done
  im2txt evaluate --input_feature_pattern="$model/fine_tune_features/val-*" \
    --checkpoint_dir="$model/fine_tune" --eval_dir="$model/fine_tune_eval" \
    --min_global_step=1 --keep_best=perplexity --once
}

# Captions the test split. Usage: caption NAME CHECKPOINT...
caption() {
  # The length normalization was chosen on val: without it, captions are short.
  im2txt run_inference --checkpoint_path="$(IFS=,; echo "${*:2}")" \
    --vocab_file="$data/word_counts.txt" --input_files="@$output/test.txt" \
    --length_normalization_factor=0.7 --output_format=coco_results \
    --captions_file="$data/captions_test.json" \
    --output_file="$output/captions/$1.json" --resume
}

# Prints the perplexity of models on features of the test split.
# Usage: perplexity FEATURES CHECKPOINT...
perplexity() {
  im2txt evaluate --input_feature_pattern="$1/test-*" --once \
    --checkpoints="$(IFS=,; echo "${*:2}")" \
    --eval_dir="$output/test_eval" --min_global_step=1
}

scores() {
  local stage seed fine_tune=$output/seed1/fine_tune
  mkdir -p "$output/captions"
  grep -o '"file_name": "[^"]*"' "$data/captions_test.json" | cut -d '"' -f 4 |
    sed "s|^|$image_dir/|" >"$output/test.txt"
  perplexity "$features" "$output"/seed*/{likelihood,sampling,self_critical}/best
  for stage in likelihood sampling self_critical; do
    for seed in $seeds; do
      caption "seed${seed}_$stage" "$output/seed$seed/$stage/best"
    done
    caption "ensemble_$stage" "$output"/seed*/"$stage"/best
  done
  if [[ -d $fine_tune/best ]]; then
    perplexity "${fine_tune}_features" "$fine_tune/best"
    caption seed1_fine_tune "$fine_tune/best"
  fi
  im2txt score_captions "$data/captions_test.json" "$output"/captions/*.json \
    --output_json="$output/scores.json" |
    tee "$output/scores.txt"
}

saved_model() {
  im2txt export_model --format=saved_model \
    --checkpoint_path="$output/seed1/self_critical/best" \
    --vocab_file="$data/word_counts.txt" --output_dir="$output/saved_model"
}

# Runs a stage unless it is finished, and records its duration.
# Usage: run STAGE [SEED]
run() {
  local done=$output/done/$1${2:+_seed$2}
  if [[ -e $done ]]; then return; fi
  echo "== $1${2:+, seed $2}: $(date '+%F %T')"
  SECONDS=0
  "$@"
  echo "$SECONDS s" >"$done"
}

# An evaluation must not outlive a training that failed.
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
mkdir -p "$output/done"
for stage in $stages; do
  case $stage in
    likelihood | sampling | self_critical)
      for seed in $seeds; do run "$stage" "$seed"; done
      ;;
    *) run "$stage" ;;
  esac
done
