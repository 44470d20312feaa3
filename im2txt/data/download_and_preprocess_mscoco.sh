#!/usr/bin/env bash
#
# Downloads MSCOCO 2014 and builds TFRecords and a vocabulary; see --help.
#
# Must also run with bash 3.2 and the tools of macOS.
set -euo pipefail

readonly name=download_and_preprocess_mscoco
readonly base_url=${MSCOCO_BASE_URL:-http://images.cocodataset.org}

# The folders to unpack, and the zips that contain them.
readonly folders=(train2014 val2014 annotations)
readonly zips=(
  zips/train2014.zip
  zips/val2014.zip
  annotations/annotations_trainval2014.zip
)

# An image has five captions and is in one record per caption.
readonly records_per_image=5

usage() {
  echo "usage: $name DIR [flags of build_mscoco_data]"
}

help() {
  usage
  cat <<EOF

Downloads the images and captions of MSCOCO 2014 to DIR/raw-data, and builds

  DIR/train-?????-of-00256, val-?????-of-00004, test-?????-of-00008
  DIR/word_counts.txt
  DIR/skipped_images.txt

with build_mscoco_data, which gets all further arguments, for example
--num_threads=4.

It prints how much disk space is needed, about 140 GB, and stops if there is
less. After an interruption, the same command resumes; downloaded and unpacked
files are kept. Afterwards DIR/raw-data may be deleted.

Needs curl or wget, and unzip or python3.

Environment variables:
  MSCOCO_BASE_URL    URL of the zips. Currently: $base_url
  BUILD_MSCOCO_DATA  Program to call instead of Bazel's build_mscoco_data.
EOF
}

fail() {
  echo "$name: $*" >&2
  exit 1
}

has() {
  command -v "$1" >/dev/null
}

# Prints the number of bytes of a file; 0 if it is missing.
file_size() {
  if [[ -f $1 ]]; then
    wc -c <"$1" | tr -d ' '
  else
    echo 0
  fi
}

# Prints the number of bytes that files and folders take.
disk_use() {
  { du -ck "$@" 2>/dev/null || true; } |
    awk 'END { printf "%.0f\n", $1 * 1024 }'
}

gigabytes() {
  awk -v bytes="$1" 'BEGIN { printf "%.3g GB", bytes / 1e9 }'
}

# Prints the number of bytes of a URL; nothing if it is unknown.
url_size() {
  local headers
  if has curl; then
    headers=$(curl --silent --fail --location --head "$1") || return 0
  else
    headers=$(wget --quiet --spider --server-response "$1" 2>&1) || return 0
  fi
  tr -d '\r' <<<"$headers" |
    awk 'tolower($1) == "content-length:" { size = $2 } END { print size }'
}

# Downloads the part of a URL that is missing in a file.
fetch() {
  if has curl; then
    curl --fail --location --continue-at - --output "$2" "$1"
  else
    wget --continue --output-document="$2" "$1"
  fi
}

# Downloads a URL of a known size, with any number of interruptions.
download() {
  local url=$1 zip=$2 size=$3
  local part=$zip.part before fruitless=0
  if [[ -f $zip ]]; then
    if (($(file_size "$zip") == size)); then
      return
    fi
    mv "$zip" "$part" # Another program was interrupted.
  fi
  while (($(file_size "$part") != size)); do
    before=$(file_size "$part")
    if ((before > size)); then
      rm "$part"
    fi
    echo "Downloading $url"
    # If the server can't resume (status 33), the download starts over.
    fetch "$url" "$part" || { [[ $? != 33 ]] || rm -f "$part"; }
    if (($(file_size "$part") > before)); then
      fruitless=0
    elif ((++fruitless == 3)); then
      fail "$url breaks off at $(file_size "$part") of $size bytes. Run this" \
        "again later to resume."
    else
      sleep "$fruitless"
    fi
  done
  mv "$part" "$zip"
}

# Unpacks a zip and verifies the checksums.
extract() {
  if [[ $(uname) == Darwin ]]; then # Its unzip is limited to 4 GB.
    tar -x -f "$1" -C "$2"
  elif has unzip; then
    unzip -q "$1" -d "$2" </dev/null
  else
    # The last line of a traceback is sufficient.
    python3 -m zipfile -e "$1" "$2" 2>&1 | awk 'END { if (NR) print }' >&2
  fi
}

# Returns whether a folder contains only files and folders. A link could point to
# any other file on the machine.
is_plain() {
  [[ -z $(find "$1" ! -type f ! -type d) ]]
}

# Unpacks a folder of a zip beside the zip, atomically.
unpack() {
  local zip=$1 folder=$2
  local scratch=$folder.unpacking
  echo "Unpacking $zip"
  rm -rf "$scratch"
  mkdir "$scratch"
  if ! extract "$zip" "$scratch" || [[ ! -d $scratch/${folder##*/} ]]; then
    rm -rf "$scratch"
    fail "$zip can't be unpacked: it is damaged, unless the disk is full." \
      "Delete it and run this again."
  fi
  if ! is_plain "$scratch"; then
    rm -rf "$scratch"
    fail "$zip is not from MSCOCO: it contains links. Delete it."
  fi
  mv "$scratch/${folder##*/}" "$folder"
  rm -rf "$scratch"
}

# Prints a path with a ~ or ~user at its start replaced by the home folder. The
# user's shell does not replace it in quotes.
expand_home() {
  local start=${1%%/*} home=
  if [[ $start != "~"* ]]; then
    echo "$1"
    return
  fi
  if [[ $start =~ ^.[A-Za-z0-9_.-]*$ ]]; then # Makes eval safe.
    eval "home=$start"
  fi
  [[ $home == /* ]] || fail "The home folder $start is unknown. For a folder" \
    "of that name, write ./$start."
  echo "$home${1#"$start"}"
}

find_builder() {
  local builder
  for builder in \
    "${BUILD_MSCOCO_DATA:-}" \
    "$0.runfiles/im2txt/im2txt/build_mscoco_data" \
    "${RUNFILES_DIR:-}/im2txt/im2txt/build_mscoco_data" \
    "${0%/*}/im2txt-build-mscoco-data" \
    "$(command -v im2txt-build-mscoco-data || true)"; do
    if [[ -x $builder ]]; then
      echo "$builder"
      return
    fi
  done
  fail "build_mscoco_data is missing. Run this program with" \
    "./bazelw run //im2txt:$name -- DIR"
}

# Prints the number of bytes of each zip; 0 if its folder exists.
zip_sizes() {
  local raw=$1 i size
  for i in "${!folders[@]}"; do
    size=0
    if [[ ! -d $raw/${folders[i]} ]]; then
      size=$(url_size "$base_url/${zips[i]}")
      if [[ -z $size ]]; then # Offline, an existing zip is used.
        size=$(file_size "$raw/${folders[i]}.zip")
      fi
      ((size > 0)) || fail "$base_url/${zips[i]} can't be reached."
    fi
    echo "$size"
  done
}

# Fails unless the disk of a folder has enough free space. The other arguments are
# the numbers of bytes of the zips.
check_disk() {
  local dir=$1
  shift
  local raw=$dir/raw-data folder zip_bytes=0 image_bytes=0
  for folder in "${folders[@]}"; do
    if (($1 > 0)); then # JPEGs are not compressed further in a zip.
      zip_bytes=$((zip_bytes + $1))
      image_bytes=$((image_bytes + $1))
    else
      zip_bytes=$((zip_bytes + $(file_size "$raw/$folder.zip")))
      image_bytes=$((image_bytes + $(disk_use "$raw/$folder")))
    fi
    shift
  done
  local record_bytes=$((records_per_image * image_bytes))
  local needed=$((zip_bytes + image_bytes + record_bytes))
  local used free
  used=$(disk_use "$raw" "$dir"/{train,val,test}-?????-of-?????)
  free=$(df -Pk "$dir" | awk 'NR == 2 { printf "%.0f\n", $4 * 1024 }')
  echo "MSCOCO takes $(gigabytes "$needed") in $dir:" \
    "$(gigabytes "$zip_bytes") of zips, $(gigabytes "$image_bytes") unpacked," \
    "and $(gigabytes "$record_bytes") of TFRecords. Of that" \
    "$(gigabytes "$used") exist already; $(gigabytes "$free") are free."
  if ((needed - used > free)); then
    fail "$dir needs $(gigabytes $((needed - used - free))) more free space."
  fi
}

main() {
  case ${1:-} in
    "")
      usage >&2
      exit 2
      ;;
    -h | --help)
      help
      exit
      ;;
    -*)
      usage >&2
      fail "DIR comes first. Got: $1."
      ;;
  esac
  local dir
  dir=$(expand_home "$1")
  shift

  has curl || has wget || fail "curl or wget is needed. Install one."
  has unzip || has python3 || fail "unzip or python3 is needed. Install one."
  local builder
  builder=$(find_builder)

  local raw=$dir/raw-data
  mkdir -p "$raw"
  rm -rf "$raw"/*.unpacking
  local sizes
  sizes=$(zip_sizes "$raw")
  # shellcheck disable=SC2086 # A number is a word.
  check_disk "$dir" $sizes
  local i=0 size
  for size in $sizes; do
    if ((size > 0)); then
      download "$base_url/${zips[i]}" "$raw/${folders[i]}.zip" "$size"
      unpack "$raw/${folders[i]}.zip" "$raw/${folders[i]}"
    fi
    i=$((i + 1))
  done

  exec "$builder" \
    --train_image_dir="$raw/train2014" \
    --val_image_dir="$raw/val2014" \
    --train_captions_file="$raw/annotations/captions_train2014.json" \
    --val_captions_file="$raw/annotations/captions_val2014.json" \
    --output_dir="$dir" \
    --word_counts_output_file="$dir/word_counts.txt" \
    "$@"
}

main "$@"
