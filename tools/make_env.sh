#!/usr/bin/env bash
# Make .venv ready for what the first argument names; does nothing where it already is. `make` calls it.
#
# demo: the node, one runtime, recordings and plots, without torch; drive: the same and the simulator;
# without an argument everything, to test and to train.
#
# Without ROS: the ROS 2 wheels of ROS_DISTRO (jazzy unless set), our vision_msgs, then this package with its extras.
# Where a ROS 2 is sourced (ROS_VERSION is set): that ROS seen through the environment, and only what it
# lacks from pip. VENV names another folder than .venv, PYTHON another interpreter.
# Each step leaves a stamp with the hash of what it was made from, written only after it succeeded.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
VENV=${VENV:-.venv}
STAMPS=$VENV/.stamps
ROS_FROM_PIP=tools/ros_from_pip
DISTRO=${ROS_DISTRO:-jazzy}
LEVEL=${1:-all}
ALL='torch,train,replay,drive,test'

die() { echo "make env: $*" >&2; exit 1; }

case $LEVEL in
    all) EXTRAS=$ALL MODULES='cv2, rclpy, torch, torchvision, vision_msgs.msg' ;;
    demo | drive) EXTRAS="$LEVEL,onnxruntime" MODULES='cv2, onnxruntime, rclpy, vision_msgs.msg' ;;
    *) die "what for? demo, drive, or nothing for everything; got $LEVEL" ;;
esac

# Two makes at once must not install into one environment.
if command -v flock >/dev/null; then exec 9>"$VENV.lock"; flock 9; fi

# A child of a Python that came from other ROS wheels would inherit its library path (tools/ros_from_pip/README.md).
if [ -n "${_ROS_WHEELS_BOOTSTRAP_COMPLETE:-}" ]; then unset _ROS_WHEELS_BOOTSTRAP_COMPLETE LD_LIBRARY_PATH; fi

# Not ROS_DISTRO: containers set that one also in shells where nothing was sourced.
if [ -n "${ROS_VERSION:-}" ]; then mode=sourced; else mode=pip; fi

check_python() {
    command -v "$PYTHON" >/dev/null || die "no $PYTHON here: install Python 3.10 to 3.14, or name one with PYTHON=..."
    version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])') || die "$PYTHON does not run"
    case $version in
        3.10 | 3.11 | 3.12 | 3.13 | 3.14) ;;
        *) die "$PYTHON is Python $version, and this package needs 3.10 to 3.14: name another one with PYTHON=..." ;;
    esac
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || die "$PYTHON has no venv module: apt install python$version-venv"
}

check_wheels() {
    [ ! -e "/opt/ros/$DISTRO/setup.bash" ] || [ -z "${ROS_DISTRO:-}" ] ||
        die "ROS $DISTRO is installed but not sourced: source /opt/ros/$DISTRO/setup.bash"
    [ -f "$ROS_FROM_PIP/$DISTRO.txt" ] || die "PyPI has no ROS 2 $DISTRO: source that distribution, or set" \
        "ROS_DISTRO to one of" $(cd $ROS_FROM_PIP && ls -- *.txt | sed 's/\.txt//')
}

# Before the large download, not after it.
check_compiler() {
    command -v "${CXX:-g++}" >/dev/null || die "no ${CXX:-g++} here, and vision_msgs is compiled on the spot: apt install g++"
    headers=$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("include"))')
    [ -f "$headers/Python.h" ] || die "no Python.h in $headers: apt install python$version-dev"
}

check_sourced_ros() {
    "$PYTHON" -c 'import rclpy' 2>/dev/null || die "ROS $DISTRO is sourced, but its rclpy cannot be imported by $PYTHON" \
        "(Python $version): use the distribution's own with PYTHON=/usr/bin/python3"
    "$PYTHON" -c 'import vision_msgs.msg' 2>/dev/null || die "ROS $DISTRO has no vision_msgs:" \
        "apt install ros-$DISTRO-vision-msgs"
}

# hash_of "TITLE" "INPUT FILES" COMMAND: what a step is made from.
hash_of() {
    # shellcheck disable=SC2086  # a list of files
    { declare -f "$3"; echo "$1"; cat /dev/null $2; } | sha256sum
}

# step NAME "TITLE" "INPUT FILES" COMMAND...: run COMMAND unless it succeeded with these inputs before.
step() {
    local name=$1 title=$2 inputs=$3 stamp=$STAMPS/$1 hash began status
    shift 3
    hash=$(hash_of "$title" "$inputs" "$1")
    [ "$(cat "$stamp" 2>/dev/null)" = "$hash" ] && return
    echo "== $title"
    began=$SECONDS
    echo "$name" > "$STAMPS/running"
    status=0
    "$@" || status=$?
    # Left in place by Ctrl-C and by a kill: the next run then starts afresh.
    [ "$status" -lt 128 ] && [ -z "${interrupted:-}" ] && rm "$STAMPS/running"
    [ "$status" = 0 ] || die "this step failed: $title (the reason is above; run make again to go on from here)"
    echo "$hash" > "$stamp.new" && mv "$stamp.new" "$stamp"
    echo "   done in $((SECONDS - began)) s"
}
trap 'interrupted=1; exit 130' INT TERM

pip_install() { "$VENV/bin/python" -m pip install --disable-pip-version-check "$@"; }

make_venv() {
    local options=()
    [ "$mode" = pip ] || options=(--system-site-packages)
    "$PYTHON" -m venv "${options[@]}" "$VENV" && pip_install --quiet 'setuptools>=70.1,<80'
}

install_ros() { pip_install --quiet -r "$ROS_FROM_PIP/$DISTRO.txt"; }

# No isolation: the generators that build it are then exactly those it will run beside.
install_vision_msgs() { pip_install --quiet --no-build-isolation --no-deps --force-reinstall ./$ROS_FROM_PIP/vision_msgs; }

install_package() {
    local constraints=()
    # Distributions with numpy 2 (later than Kilted) need no old versions.
    if [ "$mode" != pip ] && [ "$("$PYTHON" -c 'import numpy; print(numpy.__version__[0])' 2>/dev/null)" != 2 ]; then
        constraints=(-c tools/ros_from_apt_constraints.txt)
    fi
    [ "$LEVEL" != all ] || echo "   torch and torchvision come with it: about 3 GB to download, 5.5 GB on disk"
    if [ -t 1 ]; then
        pip_install "${constraints[@]}" --no-build-isolation -e ".[$EXTRAS]" || return
    else  # no progress bar in a log: one line per large file instead
        pip_install "${constraints[@]}" --no-build-isolation -e ".[$EXTRAS]" \
            | { grep --line-buffered -oE '^(Installing collected packages|ERROR.*| *Downloading .*\([0-9]{2,}\.[0-9] MB\))' || true; } || return
    fi
    # What an unlucky kill leaves half installed shows here, not in the first test.
    "$VENV/bin/python" -c "import $MODULES"
}

# .venv is thrown away when it was made for the other mode, when a step was cut off half way, and when its
# interpreter is gone (the system's Python was upgraded).
why=
if [ ! -e "$VENV" ]; then why='there is none'
elif [ "$(cat "$STAMPS/mode" 2>/dev/null)" != "$mode-$DISTRO" ]; then why="the present one was not made for $mode-$DISTRO"
elif [ -e "$STAMPS/running" ]; then why="step $(cat "$STAMPS/running") was interrupted"
elif ! "$VENV/bin/python" -c '' 2>/dev/null; then why='the Python of the present one is gone'
fi
if [ -n "$why" ]; then
    check_python
    if [ "$mode" = pip ]; then check_wheels; check_compiler; else check_sourced_ros; fi
    echo "== making $VENV: $why"
    rm -rf "$VENV"
    mkdir -p "$STAMPS"
    echo "$mode-$DISTRO" > "$STAMPS/mode"
fi

step venv 'an empty environment' '' make_venv
if [ "$mode" = pip ]; then
    step ros "ROS 2 $DISTRO from pip" "$ROS_FROM_PIP/$DISTRO.txt" install_ros
    step vision_msgs 'vision_msgs, compiled here' \
        "$ROS_FROM_PIP/$DISTRO.txt $(find $ROS_FROM_PIP/vision_msgs -type f -not -path '*__pycache__*' | sort | tr '\n' ' ')" \
        install_vision_msgs
fi
PACKAGE_INPUTS='setup.py setup.cfg pyproject.toml package.xml tools/ros_from_apt_constraints.txt'
title_of() { echo "ssd_perception with its extras: $1"; }
# Everything includes the two smaller ones.
if [ "$(cat "$STAMPS/package" 2>/dev/null)" != "$(hash_of "$(title_of "$ALL")" "$PACKAGE_INPUTS" install_package)" ]; then
    if [ "$LEVEL" = all ]; then name=package; else name=package-$LEVEL; fi
    step "$name" "$(title_of "$EXTRAS")" "$PACKAGE_INPUTS" install_package
fi
