#!/bin/sh
# Rebuild skymailing/static/vendor/inter/ from the npm package, with only the weights and characters that pages in
# English and Russian need: 70 KB less than the smallest web fonts of the package. Needs Node.js and uv.
set -eu
cd "$(dirname "$0")/.."
target=skymailing/static/vendor/inter
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fonttools() { .venv/bin/python -m uv tool run --from 'fonttools[woff]==4.68.0' "$@"; }
# One file per script, so that visitors' English pages load only the first. font.css lists the same ranges.
subset() {
    fonttools pyftsubset "$work/inter.ttf" --output-file="$target/$1.woff2" --unicodes="$2" --flavor=woff2 \
        --layout-features=kern,mark,mkmk,ccmp,locl,tnum --no-hinting --name-IDs=0,1,2,13,14
}

npm pack --silent --pack-destination "$work" inter-ui@4.1.1 >/dev/null
tar -xzf "$work"/inter-ui-*.tgz -C "$work"
fonttools fonttools varLib.instancer --quiet --output "$work/inter.ttf" \
    "$work/package/variable/InterVariable.woff2" opsz=14 wght=400:700
subset latin "U+20-7E,U+A0-FF,U+131,U+152-153,U+2C6,U+2DA,U+2DC,U+2009,U+2010-2015,U+2018-201E,U+2020-2022,U+2026,U+202F-2030,U+2032-2033,U+2039-203A,U+20AC,U+2122,U+2190-2193,U+2212,U+2248,U+2260,U+2264-2265,U+2713"
subset cyrillic "U+301,U+400-45F,U+490-491,U+4B0-4B1,U+20BD,U+2116"
cp "$work/package/LICENSE.txt" "$target/LICENSE"
wc -c "$target"/*.woff2
