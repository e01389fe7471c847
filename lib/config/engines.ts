/** How sockets are had: by the C library with epoll, by Deno, or by the best of these that works. */
export const ENGINES = ["auto", "epoll", "deno"] as const;
export type EngineName = (typeof ENGINES)[number];
