#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(){ char*volatile b=malloc(100); b[0]=1; static char buf[1<<16]; FILE*f=fopen("/proc/self/smaps","r"); 
 char line[512], head[512]=""; while(fgets(line,sizeof line,f)){ unsigned long a,e; if(sscanf(line,"%lx-%lx ",&a,&e)==2&&strchr(line,'-')<line+20&&line[0]!=' '&&strstr(line," ")&&!strchr(line,':')==0&&strstr(line,"p ")) strcpy(head,line); long k; if(sscanf(line,"Rss: %ld",&k)==1&&k>0) printf("%4ld %s",k,head);} free(b); return 0;}
