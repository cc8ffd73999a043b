# The operator as one static binary that has CA roots and the tz database inside. `make image` builds the binary first.
FROM scratch
COPY bin/ledgerport /ledgerport
USER 65532:65532
ENTRYPOINT ["/ledgerport"]
CMD ["manager"]
