/** Whether a program can be started by its name, and does `args`: `outputSync` throws where there is none. */
export function isInstalled(name: string, args?: string[]): boolean {
  try {
    const command = new Deno.Command(name, { args: args ?? ["--version"], stdout: "null", stderr: "null" });
    return command.outputSync().success || !args;
  } catch {
    return false;
  }
}

/** What checks metrics, of Prometheus. */
export const HAS_PROMTOOL = isInstalled("promtool");

/** What makes certificates. */
export const HAS_OPENSSL = isInstalled("openssl");

/** What runs the example client of version 2: Python with its package of P-256. */
export const HAS_PYTHON = isInstalled("python3", ["-c", "import cryptography"]);

export const HAS_RSYNC = isInstalled("rsync");
export const HAS_GIT = isInstalled("git");

/** The netcat that can end its direction. */
export const HAS_NC = isInstalled("nc") && /^OpenBSD/.test(helpOf("nc"));

/** Of util-linux: limits of processes that run. */
export const HAS_PRLIMIT = isInstalled("prlimit");

/** A self-signed certificate, and its key, in files of `dir`. `subject`: the names and addresses it is for. */
export async function makePair(
  dir: string,
  name: string,
  subject = "DNS:localhost,IP:127.0.0.1",
): Promise<{ cert: string; key: string }> {
  const [cert, key] = [`${dir}/${name}.pem`, `${dir}/${name}.key`];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
  const names = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=${subject}`];
  const end = ["-addext", "basicConstraints=critical,CA:FALSE"];
  const args = ["req", "-x509", ...curve, ...end, "-nodes", "-days", "2", "-keyout", key, "-out", cert, ...names];
  const { success, stderr } = await new Deno.Command("openssl", { args, stderr: "piped" }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return { cert, key };
}

function helpOf(name: string): string {
  const { stdout, stderr } = new Deno.Command(name, { args: ["-h"] }).outputSync();
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}
