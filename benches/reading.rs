//! Reading Dockerfiles, in process.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use trustgate::dockerfile::{BuildInputs, Dockerfile};
use trustgate::image::Platform;

const MEASURE_FOR: Duration = Duration::from_secs(2);

/// Parses and resolves a common file, a long one, and one with many stages.
pub(crate) fn measure() -> anyhow::Result<String> {
    let mut text =
        String::from("| file | size | files a second | MB a second |\n| --- | --- | --- | --- |\n");
    for (name, source) in
        [("a common one", common()), ("1,000 long RUN lines", long()), ("1,000 stages", many())]
    {
        let inputs = BuildInputs::for_platform(Platform::host());
        let start = Instant::now();
        let mut count = 0_u32;
        while start.elapsed() < MEASURE_FOR {
            let file = Dockerfile::parse(source.as_bytes())?;
            let uses = file.image_uses(&inputs)?;
            anyhow::ensure!(!uses.is_empty(), "{name} names images");
            count += 1;
        }
        let rate = f64::from(count) / start.elapsed().as_secs_f64();
        let size = f64::from(u32::try_from(source.len())?);
        writeln!(text, "| {name} | {:.1} kB | {rate:.0} | {:.0} |", size / 1e3, rate * size / 1e6)?;
    }
    Ok(text)
}

fn common() -> String {
    String::from(
        "# syntax=docker/dockerfile:1\nARG GO=1.22\nFROM --platform=$BUILDPLATFORM golang:${GO}-alpine AS build\n\
         WORKDIR /src\nCOPY go.mod go.sum ./\nRUN --mount=type=cache,target=/go/pkg go mod download\nCOPY . .\n\
         ARG TARGETOS TARGETARCH\nRUN GOOS=$TARGETOS GOARCH=$TARGETARCH \\\n    go build -o /out/app ./cmd/app\n\n\
         FROM alpine:3.20 AS certificates\nRUN apk add ca-certificates\n\nFROM scratch\n\
         COPY --from=certificates /etc/ssl /etc/ssl\nCOPY --from=build /out/app /app\n\
         COPY <<EOF /etc/app.conf\nlisten = 8080\nEOF\nENTRYPOINT [\"/app\"]\n",
    )
}

fn long() -> String {
    let mut text = String::from("FROM debian:12\n");
    for number in 0..1000 {
        let _ = write!(
            text,
            "RUN apt-get update && \\\n    apt-get install -y package-{number} && \\\n    rm -rf /var/lib/apt/lists/*\n"
        );
    }
    text
}

fn many() -> String {
    let mut text = String::from("FROM alpine:3.20 AS s0\n");
    for number in 1..1000 {
        let _ = write!(text, "FROM s{} AS s{number}\nCOPY --from=busybox:1 /bin/true /bin/\n", number - 1);
    }
    text
}
