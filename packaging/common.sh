# Sourced by the scripts of this folder, from the project's root: what every package has in common.
#
#   version            of the program, from Cargo.toml
#   SOURCE_DATE_EPOCH  every time in a package: that of the last commit, unless the caller sets it
#   stage              a folder of the script's own, gone at its end
#
# about BINARY sets what the file itself says of its machine and its C library:
#
#   machine  x86_64 or aarch64, as Linux, RPM and Rust name it
#   debian   amd64 or arm64, as Debian and containers name it
#   linkage  static, or dynamic: it needs the shared libraries of the system
#   oldest   the oldest glibc it runs with, if dynamic
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2>/dev/null || stat -c %Y Cargo.toml)}"
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC
umask 022
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
trap 'exit 1' HUP INT TERM

about() {
    case $(readelf -h "$1" | sed -n 's/^ *Machine: *//p') in
    *X86-64) machine=x86_64 debian=amd64 ;;
    AArch64) machine=aarch64 debian=arm64 ;;
    *) echo "${0##*/}: $1 is not a program for x86-64 or arm64" >&2; exit 65 ;;
    esac
    linkage=static oldest=''
    if readelf -lW "$1" | grep -q ' INTERP '; then
        linkage=dynamic
        oldest=$(readelf -VW "$1" | sed -n 's/.*Name: GLIBC_\([0-9.]*\).*/\1/p' | sort -Vu | tail -n 1)
    fi
}

# install_units FOLDER: systemd's units, with what the program is kept from.
install_units() {
    install -d "$1/queuemail-.service.d" "$1/queuemail-relay@.service.d"
    install -m 644 packaging/systemd/*.service packaging/systemd/*.timer packaging/systemd/*.socket "$1"
    install -m 644 packaging/systemd/sandbox.conf "$1/queuemail-.service.d"
    install -m 644 packaging/systemd/session.conf "$1/queuemail-relay@.service.d"
}

# pack FOLDER: a tar archive of all in it on standard output; the same files give the same bytes.
pack() {
    tar -C "$1" --create --format=ustar --sort=name --mtime="@$SOURCE_DATE_EPOCH" \
        --owner=0 --group=0 --numeric-owner .
}
