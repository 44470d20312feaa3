#!/bin/bash
# Runs bazelw on made-up machines: a PATH that holds nothing but what each has.
#
# shellcheck disable=SC2016 # The quoted scripts are for those machines.
set -u

readonly bazelw=$PWD/bazelw
readonly machines=${TEST_TMPDIR:-$(mktemp -d)}
failures=0

# Makes an empty machine and sets `machine` to its folder.
new_machine() {
  local tool
  machine=$machines/$1
  mkdir -p "$machine/bin" "$machine/home"
  for tool in sh env true dirname mkdir mktemp rm tail cat chmod; do
    ln -s "$(type -P $tool)" "$machine/bin/$tool"
  done
  command_does id 'echo 1000'
  command_does python3 'exit 0'
}

# Gives the machine a command whose script is the second argument.
command_does() {
  rm -f "$machine/bin/$1"
  printf '#!/bin/sh\n%s\n' "$2" >"$machine/bin/$1"
  chmod +x "$machine/bin/$1"
}

# Gives it a Bazel of the given version that prints what it is called with.
bazel_is() {
  command_does "$1" "$(prints_as "$1" "$2")"
}

prints_as() {
  printf 'if [ "$1" = --version ]; then echo "bazel %s"; exit; fi
printf "%s:"; printf " <%%s>" "$@"; echo; exit 7' "$2" "$1"
}

# Runs bazelw there and compares what it prints and its exit status.
expect() {
  local expected=$1 expected_status=$2 status
  shift 2
  actual=$(env -i PATH="$machine/bin" HOME="$machine/home" \
    "$bazelw" "$@" 2>&1 </dev/null)
  status=$?
  # shellcheck disable=SC2053 # The expectation is a pattern.
  if [[ $actual != $expected || $status -ne $expected_status ]]; then
    printf 'FAILED on machine %s\n  expected (%d): %s\n  got (%d): %s\n' \
      "${machine##*/}" "$expected_status" "$expected" "$status" "$actual"
    failures=$((failures + 1))
  fi
}

new_machine bazelisk_comes_first
bazel_is bazelisk 6.5.0
bazel_is bazel 6.5.0
expect 'bazelisk: <run> <//a b:c> <--> <--flag=x y> <>' 7 \
  run '//a b:c' -- '--flag=x y' ''

for version in 4.2.3 5.4.1 6.0.0 no_version; do
  new_machine "bazel_$version"
  bazel_is bazel "$version"
  expect 'bazel: <build> <//...>' 7 build //...
done

new_machine debian_bazel_behind_its_wrapper
command_does bazel 'echo "ERROR: requires Bazel 6.5.0" >&2; exit 1'
bazel_is bazel-4 no_version
expect 'bazel-4: <version>' 7 version

new_machine nothing_at_all
expect 'bazelw: no Bazel here*please install bazelisk*' 1 build //...
[[ $actual == *$'\n'* ]] && { echo "More than a line: $actual"; failures=1; }

for version in 3.7.2 4.1.0 7.4.0 8.0.0; do
  new_machine "bazel_unfit_$version"
  bazel_is bazel "$version"
  expect 'bazelw: no Bazel here*' 1 build //...
done

apt_get_installs='case $* in
  *install*bazel-bootstrap*) cat >"${0%/*}/bazel-4" <<"END"
'$(prints_as bazel-4 no_version)'
END
  chmod +x "${0%/*}/bazel-4" ;;
esac
echo "Noise of apt-get"'

new_machine root_with_apt
command_does id 'echo 0'
command_does apt-get "$apt_get_installs"
expect $'bazelw: installing bazel-bootstrap with apt-get*\nbazel-4: <test>' \
  7 test

new_machine root_without_venv
command_does id 'echo 0'
command_does python3 'exit 1'
bazel_is bazelisk 6.5.0
command_does apt-get 'echo "$*" >>"$HOME/apt"'
expect $'bazelw: installing python3-venv with apt-get*\nbazelisk: <test>' 7 test
grep -q 'install .*python3-venv' "$machine/home/apt" || failures=1

new_machine sudo_without_password
command_does sudo 'shift; exec "$@"'
command_does apt-get "$apt_get_installs"
expect $'bazelw: installing bazel-bootstrap with*\nbazel-4: <test>' 7 test

new_machine sudo_with_password_and_no_terminal
command_does sudo 'echo "a password is required" >&2; exit 1'
command_does apt-get "$apt_get_installs"
expect 'bazelw: no Bazel here*' 1 build //...

npm_installs='while [ "$1" != --prefix ]; do shift; done
mkdir -p "$2/node_modules/.bin"
cat >"$2/node_modules/.bin/bazelisk" <<"END"
#!/bin/sh
'$(prints_as npm_bazelisk 6.5.0)'
END
chmod +x "$2/node_modules/.bin/bazelisk"'

new_machine npm_where_apt_fails
command_does id 'echo 0'
command_does apt-get 'echo "E: Unable to locate package"; exit 100'
command_does npm "$npm_installs"
expect $'*Unable to locate*\nbazelw: installing bazelisk*\nnpm_bazelisk: <test>' \
  7 test
command_does npm 'exit 1'
command_does apt-get 'exit 1'
expect 'npm_bazelisk: <test>' 7 test

new_machine npm_fails
command_does npm 'echo "npm: no network"; exit 1'
expect $'bazelw: installing*\nnpm: no network\nbazelw: no Bazel here*' 1 test

((failures == 0)) && echo "All as expected."
exit $((failures > 0))
