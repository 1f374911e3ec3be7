/** The server's own version, as HELLO and STATUS say it; package.json has the same (a test compares them). */

export const SERVER_VERSION = '0.1.0';

export const SERVER_NAME: string = `millrace ${SERVER_VERSION}`;
