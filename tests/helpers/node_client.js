/**
 * Run by Node beside the package: exchanges at least so many numbers with what is behind the URL, and prints what became of it, or why
 * there is no connection. The last argument is more options of `connect`, in JSON.
 */
import process from "node:process";
import { exchangeNumbers } from "./numbers.js";

// A name that is no package here.
const name = "goscon-client";
const { connect } = await import(name);
const [, , url, total, options] = process.argv;

async function outcome() {
  const connection = await connect(url, { cacheSize: 16 * 2 ** 20, ...JSON.parse(options) });
  const numbers = await exchangeNumbers(connection, (sent) => sent > Number(total));
  connection.close();
  await connection.closed;
  return numbers;
}

console.log(JSON.stringify(await outcome().catch((error) => ({ error: error.message }))));
