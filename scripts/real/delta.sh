#!/usr/bin/env bash
# Cases of real-parts.sh about deltas; sourced there, whose functions and names it uses. The destination's own garbage
# collection takes what a delta leaves out, and a request brings it back.
# shellcheck disable=SC2154 # what the caller has set

pack_unsigned() { airlift pack --plain-http --no-progress --allow-unsigned '**' --sign-key "$work/bundle.key" "$@"; }

a_delta_carries_the_layer_that_changed() {
  # Nothing else at the destination may have these layers, or its garbage collection would rightly spare them.
  head -c 300000 /dev/urandom >"$work/ground"
  tar czf "$work/ground.tgz" -C "$work" ground
  crane append --insecure -f "$work/ground.tgz" -t "$upstream/delta/app:1"
  pack_unsigned "$upstream/delta/app:1" -o "$work/delta-1"
  import "$work/delta-1.airlift" --to "$destination/site" --receipt "$work/delta-1.json" --sign-key "$work/bundle.key"
  head -c 5000000 /dev/urandom >"$work/changed"
  tar czf "$work/changed.tgz" -C "$work" changed
  crane append --insecure -b "$upstream/delta/app:1" -f "$work/changed.tgz" -t "$upstream/delta/app:2"
  pack_unsigned "$upstream/delta/app:2" -o "$work/delta-2" --base "$work/delta-1.json" --base-key "$work/bundle.pub"
  local layer delta
  layer=$(stat -c %s "$work/changed.tgz") delta=$(stat -c %s "$work/delta-2.delta.airlift")
  echo "a layer of $layer bytes, a delta of $delta"
  ((delta * 100 <= layer * 102))
}

# The base is gone at the destination: refused before the first write, asked for, brought, and then good.
a_delta_is_refused_where_garbage_was_collected() {
  local before
  crane delete --insecure "$destination/site/delta/app@$(digest_at "$destination/site/delta/app:1")"
  docker-registry garbage-collect "$work/destination.yaml" >/dev/null 2>&1
  before=$(mark destination)
  expect 40 import "$work/delta-2.delta.airlift" --to "$destination/site" --request-file "$work/request.json"
  equal "$(since destination "$before" 'POST|PUT|PATCH')" 0 'writes of a refused import'
  pack_unsigned "$upstream/delta/app:2" -o "$work/delta-more" --request "$work/request.json"
  import "$work/delta-more.delta.airlift" --to "$destination/site" | grep -q '^waits'
  import "$work/delta-2.delta.airlift" --to "$destination/site"
  crane validate --insecure --remote "$destination/site/delta/app:2"
  equal "$(digest_at "$destination/site/delta/app:2")" "$(digest_at "$upstream/delta/app:2")" 'the image'
}

run_case 'a delta carries the layer that changed' a_delta_carries_the_layer_that_changed crane
run_case 'a delta is refused where garbage was collected' a_delta_is_refused_where_garbage_was_collected crane docker-registry
