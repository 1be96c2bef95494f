// Taking a story along: as text in the clipboard, or as a file.

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // not allowed, or not over a secure connection: the old way
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

export function download(title, text) {
  const name = title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").toLowerCase() || "story";
  const file = new Blob([`${title}\n\n${text}\n`], { type: "text/plain;charset=utf-8" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = `${name}.txt`;
  link.click();
  URL.revokeObjectURL(link.href);
}
