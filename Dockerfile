# A small image of Pegcount: docker build -t pegcount . && docker run -p 8080:8080 -p 8001:8001 -v pegcount:/var/lib/pegcount pegcount
FROM rust:1.95-trixie AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p pegcount --bin pegcount && strip target/release/pegcount

FROM debian:trixie-slim
# LAME for recordings as MP3, certificates for control URLs, object stores and recognisers.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates libmp3lame0 && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 10001 pegcount \
    && useradd --system --uid 10001 --gid pegcount --home-dir /var/lib/pegcount --shell /usr/sbin/nologin pegcount \
    && install -d -m 0700 -o pegcount -g pegcount /var/lib/pegcount
COPY --from=build /src/target/release/pegcount /usr/bin/pegcount
USER pegcount
WORKDIR /var/lib/pegcount
VOLUME /var/lib/pegcount
# SIP is off: calls and their media need `--network host` and `-e PEGCOUNT_SIP__LISTEN=ADDRESS:5060`.
ENV PEGCOUNT_DATA=/var/lib/pegcount \
    PEGCOUNT_LISTEN=0.0.0.0:8080 \
    PEGCOUNT_LIVE_LISTEN=0.0.0.0:8001 \
    PEGCOUNT_SIP__LISTEN=off
EXPOSE 8080 8001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && [ \"$status\" = 200 ]"]
ENTRYPOINT ["pegcount"]
CMD ["serve"]
