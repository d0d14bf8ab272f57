#!/usr/bin/env bash
# Reads a running node's /openapi.json with schemathesis and makes requests of it: no answer may be a failure of the node
# (5xx), have an undescribed status or media type, or break its schema.
#
#   tests/sdk/schemathesis.sh ADDRESS [EXAMPLES]     the network should hold some of everything: run.sh calls it last
#
# Exit code 77 says that it could not run here, and a line SKIP why.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
HERE=$ROOT/tests/sdk
VENV=$HERE/.venv-schemathesis
ADDRESS=${1:?the address of a node}
EXAMPLES=${2:-15}

if ! [ "$VENV/ready" -nt "$HERE/schemathesis.txt" ]; then
    say "installing schemathesis into ${VENV#"$ROOT"/}"
    { python3 -m venv "$VENV" && "$VENV/bin/pip" install -q --disable-pip-version-check -r "$HERE/schemathesis.txt" requests; } >/dev/null 2>&1 ||
        { say "SKIP schemathesis: pip could not install it" && exit 77; }
    touch "$VENV/ready"
fi
mkdir -p "$ROOT/.run"
"$VENV/bin/python" -B "$HERE/known_values.py" "$ADDRESS" "$ROOT/.run/openapi.json" || exit 1
cd "$ROOT/.run" || exit 1
"$VENV/bin/schemathesis" run openapi.json --url "$ADDRESS" \
    --phases examples,coverage,fuzzing --max-examples "$EXAMPLES" --seed 1 --request-timeout 30 --no-color \
    --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance
