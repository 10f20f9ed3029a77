# One image for JobManager, TaskManager and job submission: Flink in the version of requirements.txt, Python 3.11 with
# the packages locked there, this package, and the jars that jars/pom.xml makes for Flink.
#
#   docker build --tag modelserving .

FROM maven:3.9-eclipse-temurin-17 AS jars
WORKDIR /build
COPY jars/pom.xml jars/
COPY jars/src jars/src
RUN mvn -q -B -f jars/pom.xml package

# With a compiler: a few locked packages come as source only.
FROM python:3.11-bookworm AS python
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /build
COPY requirements.txt ./
RUN pip install --no-cache-dir --require-hashes -r requirements.txt
COPY pyproject.toml README.md ./
COPY modelserving modelserving
RUN pip install --no-cache-dir --no-deps --no-build-isolation .

FROM flink:2.3.0-java17 AS flink

# Python's image is the base, since its interpreter cannot be moved; Flink and the JDK can.
FROM python:3.11-slim-bookworm
# Flink's entry point calls envsubst.
RUN apt-get update && apt-get install -y --no-install-recommends gettext-base && rm -rf /var/lib/apt/lists/*
RUN groupadd --system --gid 9999 flink && useradd --system --uid 9999 --gid flink --home-dir /opt/flink flink
COPY --from=flink /opt/java/openjdk /opt/java/openjdk
COPY --from=flink --chown=flink:flink /opt/flink /opt/flink
COPY --from=flink /docker-entrypoint.sh /
COPY --from=python /opt/venv /opt/venv
COPY --from=jars --chown=flink:flink /build/jars/flink/*.jar /opt/flink/lib/
COPY --chown=flink:flink jobs /opt/modelserving/jobs
COPY --chown=flink:flink flink-conf/config.yaml /opt/flink/conf/config.yaml
# The Python workers would inherit jemalloc, which none of the tests run with. pypmml hands JAVA_OPTS to the Java
# machine in each worker, which would else take a quarter of the machine's memory before it collects.
ENV FLINK_HOME=/opt/flink \
    JAVA_HOME=/opt/java/openjdk \
    PATH=/opt/venv/bin:/opt/flink/bin:/opt/java/openjdk/bin:$PATH \
    DISABLE_JEMALLOC=true \
    JAVA_OPTS=-Xmx256m
# Containers find each other by name, not on the loopback interface; the JobManager builds Python jobs too, so it needs
# the jar that Flink keeps in opt/; volumes take the owner of the folders that they are mounted on.
RUN sed -i -e '/^taskmanager\.host:/d' -e '/^[a-z.-]*\(bind-host\|bind-address\): localhost$/s/localhost$/0.0.0.0/' \
      /opt/flink/conf/config.yaml \
 && ln -s ../opt/flink-python-2.3.0.jar /opt/flink/lib/ \
 && install -d -o flink -g flink /var/lib/flink/checkpoints /var/lib/flink/savepoints
USER flink
WORKDIR /opt/modelserving
ENTRYPOINT ["/docker-entrypoint.sh"]
CMD ["help"]
