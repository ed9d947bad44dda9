#!/usr/bin/env bash
# Builds the packages of a release into dist/: bash packaging/build.sh linux|windows|windows-cross|macos [TARGET...]
#
# linux          for x86_64, aarch64 and armv7: an archive with a static binary, a wheel and a .deb for glibc 2.17
# windows        on Windows: an archive and a wheel
# windows-cross  the same on Linux with MinGW (Debian: gcc-mingw-w64-x86-64)
# macos          on a Mac: an archive and a wheel for Apple silicon and Intel
#
# It needs rustup and Python 3 with venv. The build tools come from PyPI and crates.io, in versions named here.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly MATURIN=maturin==1.16.0 ZIG=ziglang==0.17.1 ZIGBUILD=cargo-zigbuild==0.24.1 CARGO_DEB=3.8.0
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
readonly version
tools=$PWD/target/packaging
# Two builds of the same commit give the same archives.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
# What --version names; from an archive of the source it is not known.
if BACKBOX_COMMIT=${BACKBOX_COMMIT:-$(git rev-parse HEAD 2>/dev/null)}; then
    export BACKBOX_COMMIT
fi

python_tools() {
    local python=python3
    command -v python3 >/dev/null || python=python
    [ -d "$tools" ] || "$python" -m venv "$tools"
    PATH=$tools/bin:$tools/Scripts:$PATH
    pip install --quiet --disable-pip-version-check "$@"
}

# An archive of one binary with the manual, completions and licences.
archive() {
    local target=$1 binary=$2 name=backbox-$version-$1
    rm -rf "dist/$name" && mkdir -p "dist/$name"
    cp "$binary" README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE "dist/$name/"
    cp -r man completions "dist/$name/"
    case $target in
    *windows*) (cd dist && python -m zipfile -c "$name.zip" "$name") ;;
    *darwin*) tar -C dist -czf "dist/$name.tar.gz" "$name" ;;
    *) tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -C dist -cf - "$name" |
        gzip -9n >"dist/$name.tar.gz" ;;
    esac
    rm -r "dist/${name:?}"
}

linux() {
    python_tools "$MATURIN" "$ZIG" "$ZIGBUILD"
    cargo deb --version 2>/dev/null | grep -qx "$CARGO_DEB" || cargo install --quiet --locked cargo-deb@$CARGO_DEB
    local machine
    [ $# -gt 0 ] || set -- x86_64 aarch64 armv7
    for machine; do
        local suffix=''
        [ "$machine" = armv7 ] && suffix=eabihf
        local static=$machine-unknown-linux-musl$suffix dynamic=$machine-unknown-linux-gnu$suffix
        rustup --quiet target add "$static" "$dynamic"
        cargo zigbuild --release --locked --target "$static"
        archive "$static" "target/$static/release/backbox"
        # An old glibc, so that the package installs on every distribution since 2014.
        cargo zigbuild --release --locked --target "$dynamic.2.17"
        cargo deb --no-build --no-strip --locked --target "$dynamic" --output dist/
        maturin build --release --locked --zig --target "$dynamic" --compatibility manylinux2014 --out dist
    done
    maturin sdist --out dist
}

windows() {
    python_tools "$MATURIN"
    local target=x86_64-pc-windows-msvc
    [ "${1:-}" = cross ] && target=x86_64-pc-windows-gnu
    rustup --quiet target add "$target"
    cargo build --release --locked --target "$target"
    archive "$target" "target/$target/release/backbox.exe"
    maturin build --release --locked --target "$target" --out dist
}

macos() {
    python_tools "$MATURIN"
    local target
    for target in aarch64-apple-darwin x86_64-apple-darwin; do
        rustup --quiet target add "$target"
        cargo build --release --locked --target "$target"
        archive "$target" "target/$target/release/backbox"
        maturin build --release --locked --target "$target" --out dist
    done
}

mkdir -p dist
case ${1:-} in
linux) shift && linux "$@" ;;
windows) windows ;;
windows-cross) windows cross ;;
macos) macos ;;
*) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac
ls -l dist
