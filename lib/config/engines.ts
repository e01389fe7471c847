/** How sockets are had: by the C library with io_uring or epoll, by Deno, or by the first of these that works. */
export const ENGINES = ["auto", "uring", "epoll", "deno"] as const;
export type EngineName = (typeof ENGINES)[number];
