FROM @SIGNED@
COPY . /src
RUN ls /src > /said
