# The same images as `make images` builds, for those who have a container builder
# and no Go:
#
#   docker build --target relay   -t ghcr.io/relaykeep/relay:dev .
#   docker build --target manager -t ghcr.io/relaykeep/manager:dev .
#
# What is in an image is said in one place, test/images; this file only runs it. The
# one image that comes from elsewhere is named by its digest, of the index for all
# platforms. To renew it: docker buildx imagetools inspect golang:1.26-bookworm.
ARG GO_IMAGE=docker.io/library/golang:1.26.8-bookworm@sha256:a688600ca24f8a4d3ca77f95b0dd40704a9fc787c826660eb7ba0b641b8b175d

FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS build
ARG TARGETOS=linux
ARG TARGETARCH=amd64
ARG VERSION=dev
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN go run ./test/images -image relay   -platforms ${TARGETOS}/${TARGETARCH} -version ${VERSION} -rootfs /rootfs/relay && \
    go run ./test/images -image manager -platforms ${TARGETOS}/${TARGETARCH} -version ${VERSION} -rootfs /rootfs/manager

FROM scratch AS manager
COPY --from=build /rootfs/manager/ /
ENV PATH=/
USER 65532:65532
ENTRYPOINT ["/manager"]

FROM scratch AS relay
COPY --from=build /rootfs/relay/ /
ENV PATH=/
USER 65532:65532
ENTRYPOINT ["/relay"]
