#!/usr/bin/env bash
# Removes the operator, its kinds and all of their resources from a cluster, each after what needs it: runs give their claims
# back while operator, source and destination are still there. Every step is bounded by TIMEOUT (two minutes). What cannot be
# done in order is named; FORCE=1 then removes it without giving claims back.
#
#   hack/undeploy.sh MANIFESTS     a file with what `make deploy` applies
set -euo pipefail
manifests=$1
timeout=${TIMEOUT:-120s}
force=${FORCE:-}
group=accounting.ledgerport.dev
read -r -a kubectl <<<"${KUBECTL:-kubectl}"

kube() { "${kubectl[@]}" "$@"; }
served() { [ -n "$(kube get crd "$1.$group" --ignore-not-found -o name)" ]; }
say() { echo "undeploy: $*" >&2; }

# unfinished lists the runs that are not finished: namespace, name, export, phase, stage, reason.
unfinished() {
  served exportruns || return 0
  kube get "exportruns.$group" --all-namespaces --no-headers -o custom-columns=\
':metadata.namespace,:metadata.name,:spec.exportRef.name,:status.phase,:status.stage,:status.conditions[?(@.type=="Ready")].reason' 2>/dev/null |
    awk '$4 != "Succeeded" && $4 != "Incomplete" && $4 != "Failed" && $4 != "Cancelled"'
}

# delete removes every resource of a kind, and waits for them to go.
delete() {
  served "$1" || return 0
  kube delete "$1.$group" --all --all-namespaces --timeout="$timeout" >/dev/null
}

# free takes the finalizers off one resource.
free() { kube patch "$1.$group" -n "$2" "$3" --type=merge -p '{"metadata":{"finalizers":null}}' >/dev/null; }

# free_finished takes the finalizers off what needs nothing more: runs that have finished, and exports of which no run is
# unfinished. Their operator is gone, or it would have done so.
free_finished() {
  local kind namespace name export held
  held=$(unfinished)
  for kind in exportruns accountingexports; do
    served "$kind" || continue
    while read -r namespace name export; do
      [ -n "$name" ] || continue
      [ "$kind" = exportruns ] || export=$name
      if [ "$kind" = exportruns ]; then
        awk -v ns="$namespace" -v n="$name" '$1 == ns && $2 == n { found = 1 } END { exit found }' <<<"$held" || continue
      else
        awk -v ns="$namespace" -v n="$export" '$1 == ns && $3 == n { found = 1 } END { exit found }' <<<"$held" || continue
      fi
      free "$kind" "$namespace" "$name"
    done < <(kube get "$kind.$group" --all-namespaces --no-headers -o custom-columns=:metadata.namespace,:metadata.name,:spec.exportRef.name)
  done
}

# force_free names the runs whose claims stay bound, and takes the finalizers off them and their exports.
force_free() {
  local namespace name export rest
  while read -r namespace name export rest; do
    [ -n "$name" ] || continue
    say "by force: ExportRun $namespace/$name ($rest); claims that it has reserved stay bound to it in the database:" \
      "docs/operations.md says under 'A run whose ExportRun is gone' how to give them back"
    free exportruns "$namespace" "$name"
  done < <(unfinished)
  free_finished
}

in_order=yes
for kind in accountingexports exportruns; do delete "$kind" || in_order=; done
if [ -z "$in_order" ]; then
  free_finished
  held=$(unfinished)
  if [ -n "$held" ] && [ -z "$force" ]; then
    say "these runs have not ended within $timeout, and may hold claims (namespace, name, export, phase, stage, reason):"
    cat <<<"$held" >&2
    say "see that the operator runs, and that their database and destination can be reached (kubectl describe xrun), then do this" \
      "again; or remove them with FORCE=1, and give their claims back by hand. Operator and kinds are still there"
    exit 1
  fi
  force_free
  for kind in accountingexports exportruns; do delete "$kind"; done
fi
for kind in claimsources chartsofaccounts exportdestinations; do delete "$kind"; done
for kind in accountingexports exportruns claimsources chartsofaccounts exportdestinations; do
  kube delete crd "$kind.$group" --ignore-not-found --timeout="$timeout"
done
# What config/books adds beside the operator's own namespace. While nobody answers for an API, no namespace of the cluster can be deleted.
kube delete apiservice "v1alpha1.books.$group" --ignore-not-found --timeout="$timeout"
for kind in validatingadmissionpolicybinding validatingadmissionpolicy; do
  kube delete "$kind" ledgerport-reversal ledgerport-mark --ignore-not-found --timeout="$timeout"
done
kube delete clusterrole ledgerport-finance --ignore-not-found --timeout="$timeout"
kube delete rolebinding ledgerport-books-authentication -n kube-system --ignore-not-found --timeout="$timeout"
kube delete --ignore-not-found --timeout="$timeout" -f "$manifests"
