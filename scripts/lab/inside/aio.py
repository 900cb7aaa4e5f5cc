# aio.py PORT DIR: a static file server on one asyncio loop
import asyncio, os, sys, urllib.parse

root = sys.argv[2]


def look(path):
    full = os.path.normpath(root + urllib.parse.unquote(path.split('?')[0]))
    if not full.startswith(root):
        return b'404', b''
    if os.path.isdir(full):
        return b'200', '\n'.join(sorted(os.listdir(full))).encode()
    try:
        with open(full, 'rb') as f:
            return b'200', f.read()
    except OSError:
        return b'404', b''


async def serve(reader, writer):
    try:
        while True:
            head = await asyncio.wait_for(reader.readuntil(b'\r\n\r\n'), 5)
            status, body = await asyncio.to_thread(look, head.split()[1].decode())
            writer.write(
                b'HTTP/1.1 ' + status + b' x\r\ncontent-length: %d\r\n\r\n' % len(body) + body
            )
            await writer.drain()
    except Exception:
        pass
    finally:
        writer.close()


async def main():
    async with await asyncio.start_server(serve, '0.0.0.0', int(sys.argv[1])) as server:
        await server.serve_forever()


asyncio.run(main())
