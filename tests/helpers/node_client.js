/** Run by Node beside the package: exchanges at least so many numbers with what is behind the URL, and prints what became of it. */
import process from "node:process";
import { exchangeNumbers } from "./numbers.js";

// A name that is no package here.
const name = "goscon-client";
const { connect } = await import(name);
const [, , url, dialect, total] = process.argv;
const connection = await connect(url, { dialect, cacheSize: 16 * 2 ** 20 });
const outcome = await exchangeNumbers(connection, (sent) => sent > Number(total));
connection.close();
await connection.closed;
console.log(JSON.stringify(outcome));
