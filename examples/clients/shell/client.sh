#!/bin/sh
# A client of etcd in shell for dissever: one JSON line asks it, one JSON line is its answer.
# It needs curl, jq and base64. The protocol stands in docs/clients.md.
#
#     dissever client-test ./client.sh --address 127.0.0.1:2379

encode() { printf %s "$1" | base64 -w 0; }

# ok [VALUE], fail REASON, info REASON: the answers. A read that failed changed nothing.
ok() { printf '{"id":%s,"type":"ok","value":%s}\n' "$id" "${1:-null}"; }
fail() { printf '{"id":%s,"type":"fail","error":"%s"}\n' "$id" "$1"; }
info() { printf '{"id":%s,"type":"info","error":"%s"}\n' "$id" "$1"; }

# etcd PATH BODY: etcd's answer is in $said. Without one the request is answered here.
etcd() {
  said=$(curl -sS --max-time 5 --fail --data "$2" "http://$address/v3/$1") && return
  status=$?  # Of curl; what it says about it goes to stderr, which is kept in the node's log.
  case $f,$status in
    read,*) fail "curl ended with $status" ;;
    *,7) fail "not connected, so nothing was sent" ;;
    *) info "curl ended with $status: it may have been done" ;;
  esac
  return 1
}

while read -r request; do
  eval "$(printf %s "$request" | jq -r '@sh "id=\(.id) f=\(.f) key=\(.key) value=\(.value | tojson)"')"
  name=$(encode "register/$key")
  case $f in
    open)
      address=$(printf %s "$request" | jq -r .value.address)
      ok
      ;;
    read)
      etcd kv/range "{\"key\":\"$name\"}" || continue
      ok "$(printf %s "$said" | jq '.kvs[0].value | if . then @base64d | tonumber else null end')"
      ;;
    ping)
      etcd maintenance/status "{}" && ok
      ;;
    write)
      etcd kv/put "{\"key\":\"$name\",\"value\":\"$(encode "$value")\"}" && ok "$value"
      ;;
    cas)
      old=$(encode "$(printf %s "$value" | jq '.[0]')") new=$(encode "$(printf %s "$value" | jq '.[1]')")
      etcd kv/txn "{\"compare\":[{\"key\":\"$name\",\"target\":\"VALUE\",\"result\":\"EQUAL\",\"value\":\"$old\"}],
        \"success\":[{\"request_put\":{\"key\":\"$name\",\"value\":\"$new\"}}]}" || continue
      case $said in *'"succeeded":true'*) ok "$value" ;; *) fail "another value" ;; esac
      ;;
    *) fail "unknown request $f" ;;
  esac
done
