#!/bin/sh
# Rebuild skymailing/static/vendor/bootstrap/ from the npm package: keep the rules whose names our
# templates, scripts or code use, and list the unused names. Needs Node.js.
set -eu
cd "$(dirname "$0")/.."
target=skymailing/static/vendor/bootstrap
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

npm pack --silent --pack-destination "$work" bootstrap@5.3.9 >/dev/null
tar -xzf "$work"/bootstrap-*.tgz -C "$work"
full="$work/package/dist/css/bootstrap.min.css"
npx --yes --package purgecss@8.0.0 purgecss --css "$full" --output "$work/bootstrap.css" \
    --content 'skymailing/templates/**/*.html' 'skymailing/static/js/*.js' 'skymailing/**/*.py' \
    --font-face --keyframes --safelist data-bs-theme
sed 's|/\*# sourceMappingURL=.*\*/||' "$work/bootstrap.css" >"$target/bootstrap.min.css"

classes() { grep -oE '\.[a-zA-Z_-][a-zA-Z0-9_-]*' "$1" | grep -vE '^\.(css|scss|map|min|org|com)$' | cut -c2- | sort -u; }
classes "$full" >"$work/full.txt"
classes "$target/bootstrap.min.css" >"$work/kept.txt"
comm -23 "$work/full.txt" "$work/kept.txt" >"$target/left-out.txt"
cp "$work/package/LICENSE" "$target/LICENSE"
wc -c "$full" "$target/bootstrap.min.css"
