// Links to anomalies that are folded, and from them to all operations of a key.

// What is linked to unfolds.
function unfold(target) {
  const linked = target && document.getElementById(target);
  for (let one = linked; one; one = one.parentElement) if (one.localName === "details") one.open = true;
  if (linked?.localName === "details") linked.scrollIntoView();
}

// `#key=3` shows every operation of key 3.
function showKey(key) {
  const fields = [...document.querySelectorAll('#filters [data-filter="key"]')];
  for (const field of fields) {
    if (field.type === "checkbox") field.checked = field.value === key;
    else field.value = key;
  }
  if (fields.length) document.getElementById("filters").dispatchEvent(new Event("input"));
  showHome();
  document.getElementById("timeline").scrollIntoView();
}
