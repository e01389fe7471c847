/** Whether a program can be started by its name: `outputSync` throws where there is none. */
export function isInstalled(name: string): boolean {
  try {
    new Deno.Command(name, { args: ["--version"], stdout: "null", stderr: "null" }).outputSync();
    return true;
  } catch {
    return false;
  }
}
