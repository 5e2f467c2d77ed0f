# shellcheck shell=bash disable=SC2154
# Cases with charts; sourced by real-parts.sh. The referee of the own renderer is the helm program.

# Every chart under testdata/charts, for two versions of Kubernetes: the same documents from both.
helm_renders_the_same_documents() {
  local helm
  helm=$(type -P helm)
  (cd "$repository" && AIRLIFT_HELM=$helm cargo test --locked --quiet --test it -- \
    chart_render::the_helm_program_gives_the_same_documents_where_it_is_there) | tee "$work/referee"
  grep -q '^test result: ok. 1 passed' "$work/referee"
}

# The same lock, whichever of the two renders, and charts of the older form.
both_renderers_give_the_same_lock() {
  local helm
  helm=$(type -P helm)
  (cd "$repository" && AIRLIFT_HELM=$helm cargo test --locked --quiet --test it -- renderers::) | tee "$work/referee"
  grep -q '^test result: ok. 4 passed' "$work/referee"
}

run_case 'helm renders charts to the same documents' helm_renders_the_same_documents helm cargo
run_case 'both renderers give the same lock' both_renderers_give_the_same_lock helm cargo
