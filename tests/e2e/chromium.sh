#!/bin/sh
# Print the path of a Chromium for the browser tests, and make sure that it and Playwright can start. Use
#   1. $CHROMIUM, if it is set;
#   2. Chromium's headless shell, which needs half as much processor time, installed or unpacked earlier;
#   3. Debian's package of it, installed, if the user is root;
#   4. another Chromium that is installed or was unpacked earlier;
#   5. Debian's package of the shell, or of Chromium, with its dependencies, unpacked in .cache/ without being installed.
set -eu
project="$(cd "$(dirname "$0")/../.." && pwd)"
cache="$project/.cache/chromium"
libraries="$cache/libraries" # a file with the directories of unpacked libraries, in the format of LD_LIBRARY_PATH

log() { echo "$*" >&2; }

fail() {
    log "$1"
    log "To test with another Chromium or Chrome: make e2e CHROMIUM=/path/to/chromium"
    exit 1
}

with_libraries() {
    [ ! -f "$libraries" ] || LD_LIBRARY_PATH=$(cat "$libraries") && export LD_LIBRARY_PATH
    "$@" >/dev/null 2>&1
}

works() { (with_libraries "$1" --headless --no-sandbox --version); }

first_that_works() {
    for name; do
        found=$(command -v "$name") && works "$found" && echo "$found" && return
    done
    return 1
}

find_shell() { first_that_works chromium-headless-shell "$cache/chromium-headless-shell"; }

find_browser() {
    if [ -n "${CHROMIUM:-}" ]; then
        works "$CHROMIUM" || fail "CHROMIUM=$CHROMIUM does not start."
        echo "$CHROMIUM"
        return
    fi
    find_shell || first_that_works chromium chromium-browser google-chrome google-chrome-stable chrome "$cache/chromium"
}

# Playwright's bundled Node.js needs a library that minimal installations lack.
playwright_starts() {
    for node in "$project"/.venv/lib/python3*/site-packages/playwright/driver/node; do
        [ ! -x "$node" ] || (with_libraries "$node" --version) || return 1
    done
}

install() {
    log "Installing Debian's $* ..."
    export DEBIAN_FRONTEND=noninteractive
    # Fetch the package lists only if they are missing or out of date.
    apt-get install -q -y --no-install-recommends "$@" >&2 && return
    apt-get update -q >&2 && apt-get install -q -y --no-install-recommends "$@" >&2
}

# Run apt with its own lists and packages: it reads the system's sources, writes only to the cache, and needs no root.
private_apt() {
    apt-get -q -o Debug::NoLocking=1 -o APT::Sandbox::User= -o Dir::State::lists="$cache/lists" \
        -o Dir::Cache="$cache" -o Dir::Cache::archives="$cache/archives" -o Dir::Log="$cache" "$@" >&2
}

unpack() {
    log "Unpacking Debian's $* into $cache; nothing is installed ..."
    mkdir -p "$cache/lists/partial" "$cache/archives/partial" "$cache/unpacked"
    private_apt update && private_apt install -y --download-only --no-install-recommends "$@" || return 1
    for package in "$cache"/archives/*.deb; do dpkg -x "$package" "$cache/unpacked" || return 1; done
    rm -rf "$cache/lists" "$cache/archives"
    find "$cache/unpacked" -name '*.so*' -printf '%h\n' | grep -v "/usr/lib/chromium" | sort -u | paste -sd: >"$libraries"
    # Use the system's fonts, if there are any, and the unpacked ones.
    cat >"$cache/fonts.conf" <<END
<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>/usr/share/fonts</dir><dir>$cache/unpacked/usr/share/fonts</dir><cachedir>$cache/fonts</cachedir></fontconfig>
END
    for name in chromium-headless-shell chromium; do
        program="$cache/unpacked/usr/lib/chromium/$name"
        [ ! -x "$program" ] || write_starter "$program" "$cache/$name"
    done
}

write_starter() {
    cat >"$2" <<END
#!/bin/sh
export LD_LIBRARY_PATH="\$(cat "$libraries")" FONTCONFIG_FILE="$cache/fonts.conf"
exec "$1" "\$@"
END
    chmod +x "$2"
}

is_root() { [ "$(id -u)" = 0 ]; }

get() { if is_root; then install "$@"; else unpack "$@"; fi; }

if [ -z "${CHROMIUM:-}" ] && is_root && ! find_shell >/dev/null && apt-cache show chromium-headless-shell >/dev/null 2>&1; then
    install chromium-headless-shell fonts-dejavu-core || log "Without chromium-headless-shell, the tests take longer."
fi
missing=""
find_browser >/dev/null || missing="chromium-headless-shell fonts-dejavu-core"
playwright_starts || missing="$missing libatomic1"
if [ -n "$missing" ]; then
    command -v apt-get >/dev/null || fail "Missing: $missing. They cannot be installed, because there is no apt-get."
    # Debian's derivatives may lack the shell.
    # shellcheck disable=SC2046,SC2086 # these are lists of packages
    get $missing || get $(echo "$missing" | sed s/-headless-shell//) || fail "Could not install: $missing."
    playwright_starts || fail "Playwright's bundled program does not start."
fi
find_browser || fail "Debian's chromium does not start."
