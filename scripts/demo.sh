#!/usr/bin/env bash
# The demo: a drive through the real node, then a report. BAG=, VIDEO= or CAMERA= take the place of the rendered drive.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/machine.sh

bundle=${BUNDLE:-models/camvid_lite0}
out=${OUT:-build/demo}
rate=15
run=scripts/run.sh
mkdir -p "$out"

if [ -n "${BAG:-}" ]; then
  bag=$BAG
elif [ -n "${CAMERA:-}" ]; then
  bag=$out/camera
  say "Recording $CAMERA for ${DURATION:-15} s; Ctrl-C ends it early"
  $run distill-perception record "$CAMERA" "$bag" --seconds "${DURATION:-15}" --force
elif [ -n "${VIDEO:-}" ]; then
  bag=$out/video
  say "Making a bag of $VIDEO"
  $run distill-perception bag "$VIDEO" "$bag" --compressed --force
else
  drive=$out/drive bag=$out/bag
  say "Rendering a synthetic drive with exact labels into $drive"
  rm -rf "$drive"
  $run distill-perception-train synthetic --out "$drive" --frames "${FRAMES:-225}" --scenes 3 --seed 7 --rate $rate
  $run distill-perception bag "$drive" "$bag" --rate $rate --force
fi

say "Playing $bag through the node"
$run distill-perception replay "$bag" --bundle "$bundle" --out "$out/report"
say "Open $out/report/report.html in a browser; the overlay video is $out/report/overlay.mp4"
