# The operator as one static binary, with CA roots; the tz database is inside the binary.
FROM golang:1.26 AS build
ARG VERSION=dev
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY api api
COPY cmd cmd
COPY controllers controllers
COPY exporters exporters
COPY internal internal
COPY ledger ledger
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /ledgerport ./cmd/ledgerport

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /ledgerport /ledgerport
USER 65532:65532
ENTRYPOINT ["/ledgerport"]
CMD ["manager"]
