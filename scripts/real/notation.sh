# Cases with notation, the Notary Project's own program; sourced by scripts/real-parts.sh, whose functions and names
# it uses. notation signs upstream, airlift packs, verifies and imports under a policy with notation's trust stores,
# and notation verifies at the destination what airlift imported.
# shellcheck shell=bash disable=SC2154

# Images of their own, so that nothing else upstream gets a referrer more.
readonly notarized=(notary/jws:1.0 notary/cose:1.0 notary/chain:1.0)
notary_home=$work/home/config/notation

# notary_policy FILE STORE IDENTITY [MORE]: a policy of airlift that wants notation's signature.
notary_policy() {
  cat >"$1" <<YAML
apiVersion: airlift/v1alpha1
kind: Policy
trustStores:
  test: { type: ca, folder: $notary_home/truststore/x509/ca/$2 }
rules:
  - match: [ "$upstream/**" ]
    signatures:
      - notation: { trustStores: [ ca:test ], identities: [ "$3" ]${4:-} }
YAML
}

readonly notary_subject='x509.subject: C=US, ST=WA, O=Notary'

notation_signs() {
  local name
  for name in "${notarized[@]}"; do
    crane copy --insecure "$upstream/team/app:1.0" "$upstream/$name" # without what refers to it
    crane mutate --insecure --annotation "org.example.name=$name" --tag "$upstream/$name" "$upstream/$name"
  done
  notation cert generate-test release.example
  notation cert generate-test stranger.example
  own_authority
  notation sign --insecure-registry --key release.example --signature-format jws "$upstream/notary/jws:1.0"
  notation sign --insecure-registry --key release.example --signature-format cose "$upstream/notary/cose:1.0"
  notation sign --insecure-registry --key chained --signature-format cose --expiry 24h "$upstream/notary/chain:1.0"
  cat >"$notary_home/trustpolicy.json" <<JSON
{"version": "1.0", "trustPolicies": [{"name": "all", "registryScopes": ["*"], "signatureVerification": {"level": "strict"},
 "trustStores": ["ca:release.example", "ca:own"], "trustedIdentities": ["$notary_subject"]}]}
JSON
  notation_accepts "$upstream"
}

# An authority with ECDSA, and a signer below it; notation's test command makes lone certificates with RSA only.
own_authority() {
  local keys=$notary_home/localkeys store=$notary_home/truststore/x509/ca/own made=$work/authority
  mkdir -p "$keys" "$store" "$made"
  printf '%s\n' 'basicConstraints=critical,CA:true' 'keyUsage=critical,keyCertSign,cRLSign' >"$made/ca.ext"
  printf '%s\n' 'keyUsage=critical,digitalSignature' 'extendedKeyUsage=codeSigning' >"$made/leaf.ext"
  local name
  for name in ca leaf; do
    openssl ecparam -name secp384r1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out "$made/$name.key"
    openssl req -new -key "$made/$name.key" -subj "/C=US/ST=WA/O=Notary/CN=own $name" -out "$made/$name.csr"
  done
  openssl x509 -req -in "$made/ca.csr" -signkey "$made/ca.key" -days 10 -sha384 -extfile "$made/ca.ext" -out "$store/ca.crt"
  openssl x509 -req -in "$made/leaf.csr" -CA "$store/ca.crt" -CAkey "$made/ca.key" -CAcreateserial -days 5 -sha384 \
    -extfile "$made/leaf.ext" -out "$made/leaf.crt"
  cp "$made/leaf.key" "$keys/chained.key"
  cat "$made/leaf.crt" "$store/ca.crt" >"$keys/chained.crt"
  jq '.keys += [{name: "chained", keyPath: $key, certPath: $crt}]' --arg key "$keys/chained.key" --arg crt "$keys/chained.crt" \
    "$notary_home/signingkeys.json" >"$made/signingkeys.json"
  mv "$made/signingkeys.json" "$notary_home/signingkeys.json"
}

# notation_accepts PLACE: everything that notation signed verifies there.
notation_accepts() {
  local name
  for name in "${notarized[@]}"; do notation verify --insecure-registry "$1/$name"; done
}

notary_pack() {
  airlift pack --plain-http --no-progress --sign-key "$work/bundle.key" --policy "$@"
}

pack_accepts_what_notation_signed() {
  notary_policy "$work/notary.yaml" release.example "$notary_subject"
  sed -i 's|^rules:|  own: { type: ca, files: [ own.crt ] }\nrules:|; s|ca:test |ca:test, ca:own |' "$work/notary.yaml"
  cp "$notary_home/truststore/x509/ca/own/ca.crt" "$work/own.crt"
  notary_pack "$work/notary.yaml" "${notarized[@]/#/$upstream/}" -o "$work/notary"
  airlift verify "$work/notary.airlift" --bundle-key "$work/bundle.pub" --policy "$work/notary.yaml" -o json >"$work/notary.json"
  equal "$(jq '[.evidence.artifacts[].judged[] | select(.kind == "notation" and .verdict == "good")] | length' "$work/notary.json")" 3 'good signatures'
  jq -r '.evidence.artifacts[].judged[].signer.subject' "$work/notary.json" | sort | uniq -c
}

pack_refuses_another_store_or_identity() {
  notary_policy "$work/stranger.yaml" stranger.example "$notary_subject"
  expect 30 notary_pack "$work/stranger.yaml" "$upstream/notary/jws:1.0" -o "$work/refused/n1" 2>&1 | tee "$work/n1.out"
  grep -q 'holds no certificate of its chain' "$work/n1.out"
  notary_policy "$work/nobody.yaml" release.example 'x509.subject: C=US, ST=WA, O=Notar'
  expect 30 notary_pack "$work/nobody.yaml" "$upstream/notary/cose:1.0" -o "$work/refused/n2" 2>&1 | tee "$work/n2.out"
  grep -q 'and the rule wants C=US, O=Notar, ST=WA' "$work/n2.out"
  notary_policy "$work/ended.yaml" own "$notary_subject"
  expect 30 notary_pack "$work/ended.yaml" "$upstream/notary/jws:1.0" -o "$work/refused/n3"
  expect 30 airlift verify "$work/notary.airlift" --bundle-key "$work/bundle.pub" --policy "$work/stranger.yaml"
  [[ -z $(find "$work/refused" -name 'n?.airlift' 2>/dev/null) ]]
}

notation_accepts_the_mirror() {
  import "$work/notary.airlift" --to "$destination/notary-mirror"
  notation_accepts "$destination/notary-mirror"
  airlift sync --plain-http --no-progress --policy "$work/notary.yaml" "${notarized[@]/#/$upstream/}" --to "$destination/notary-synced"
  notation_accepts "$destination/notary-synced"
}

# A timestamp authority on loopback: openssl's, behind the few lines of HTTP that it lacks.
start_clock() {
  local made=$work/clock
  mkdir -p "$made" "$notary_home/truststore/x509/tsa/clock"
  printf '%s\n' 'basicConstraints=critical,CA:true' 'keyUsage=critical,keyCertSign,cRLSign' >"$made/ca.ext"
  printf '%s\n' 'keyUsage=critical,digitalSignature' 'extendedKeyUsage=critical,timeStamping' >"$made/tsa.ext"
  openssl req -x509 -newkey rsa:3072 -nodes -keyout "$made/ca.key" -subj '/C=US/ST=WA/O=Clock/CN=clock root' -days 10 \
    -addext 'basicConstraints=critical,CA:true' -addext 'keyUsage=critical,keyCertSign,cRLSign' -out "$made/ca.crt"
  openssl req -new -newkey rsa:2048 -nodes -keyout "$made/tsa.key" -subj '/C=US/ST=WA/O=Clock/CN=clock' -out "$made/tsa.csr"
  openssl x509 -req -in "$made/tsa.csr" -CA "$made/ca.crt" -CAkey "$made/ca.key" -CAcreateserial -days 5 -sha256 \
    -extfile "$made/tsa.ext" -out "$made/tsa.crt"
  cp "$made/ca.crt" "$notary_home/truststore/x509/tsa/clock/ca.crt"
  echo 01 >"$made/serial"
  cat >"$made/tsa.conf" <<CONF
[tsa]
serial = $made/serial
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_chain = no
ess_cert_id_alg = sha256
CONF
  cat >"$made/serve.py" <<'PY'
import http.server, subprocess, sys
made, port = sys.argv[1], int(sys.argv[2])
class Clock(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        with open(f"{made}/query", "wb") as file:
            file.write(self.rfile.read(int(self.headers["Content-Length"])))
        subprocess.run(["openssl", "ts", "-reply", "-config", f"{made}/tsa.conf", "-section", "tsa", "-queryfile", f"{made}/query",
                        "-signer", f"{made}/tsa.crt", "-inkey", f"{made}/tsa.key", "-out", f"{made}/reply"], check=True)
        body = open(f"{made}/reply", "rb").read()
        self.send_response(200)
        self.send_header("Content-Type", "application/timestamp-reply")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.server.answered = True
# One answer, or a minute without a question, and it is gone.
server = http.server.HTTPServer(("127.0.0.1", port), Clock)
server.answered, server.timeout = False, 60
server.handle_timeout = lambda: sys.exit(1)
while not server.answered:
    server.handle_request()
PY
  python3 "$made/serve.py" "$made" "$1" &
  local tries
  for tries in {1..50}; do (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null && break; sleep 0.1; done
  echo "the clock answered after $tries tries"
}

notation_stamps_and_airlift_verifies() {
  local name=notary/stamped:1.0
  crane copy --insecure "$upstream/team/app:1.0" "$upstream/$name"
  crane mutate --insecure --annotation "org.example.name=$name" --tag "$upstream/$name" "$upstream/$name"
  start_clock "$clock_port"
  notation sign --insecure-registry --key release.example --timestamp-url "http://127.0.0.1:$clock_port" \
    --timestamp-root-cert "$work/clock/ca.crt" "$upstream/$name"
  notary_policy "$work/stamped.yaml" release.example "$notary_subject"
  sed -i 's|^rules:|  clock: { type: tsa, files: [ clock.crt ] }\nrules:|; s|ca:test |ca:test, tsa:clock |' "$work/stamped.yaml"
  cp "$work/clock/ca.crt" "$work/clock.crt"
  notary_pack "$work/stamped.yaml" "$upstream/$name" -o "$work/stamped"
  airlift verify "$work/stamped.airlift" --bundle-key "$work/bundle.pub" --policy "$work/stamped.yaml" -o json >"$work/stamped.json"
  jq -e '.evidence.artifacts[0].judged[] | select(.kind == "notation") | .times[0], .timeSource' "$work/stamped.json"
  # Without a timestamp the same rule refuses.
  expect 30 notary_pack "$work/stamped.yaml" "$upstream/notary/jws:1.0" -o "$work/refused/n4"
}

run_case 'notation signs in both forms' notation_signs notation crane openssl
run_case 'pack accepts what notation signed' pack_accepts_what_notation_signed notation crane openssl cosign
run_case 'pack refuses another store or identity' pack_refuses_another_store_or_identity notation crane openssl cosign
run_case 'notation accepts the mirror' notation_accepts_the_mirror notation crane openssl cosign
run_case 'notation stamps and airlift verifies' notation_stamps_and_airlift_verifies notation crane openssl cosign
